// A button of the panel.
import { React } from "./app";
import { styles } from "./styles";

interface ButtonProps {
  name: string;
  usable: boolean;
  act: () => void;
  children: string;
}

/** Lets go of the focus when it is pressed, so that keys mean the picture again. */
export function Button({ name, usable, act, children }: ButtonProps) {
  return (
    <button
      style={usable ? styles.button : styles.unusable}
      data-cy={`sam-reprompt-${name}`}
      disabled={!usable}
      onClick={(event) => {
        event.currentTarget.blur();
        act();
      }}
    >
      {children}
    </button>
  );
}
