// The plugin's part that runs in FiftyOne's App.
import { app } from "./app";
import { Panel } from "./panel";

app.__fop__.registerComponent({
  name: "sam_reprompt",
  label: "Re-prompt",
  component: Panel,
  type: app.__fop__.PluginComponentType.Panel,
  activator: () => true,
  panelOptions: { surfaces: "modal", allowDuplicates: false },
});
