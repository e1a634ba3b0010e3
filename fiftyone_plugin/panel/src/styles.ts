// How the panel looks: the App's own colours.
import type { CSSProperties } from "react";

const row: CSSProperties = {
  display: "flex",
  flexWrap: "wrap",
  flexShrink: 0,
  gap: 8,
  alignItems: "center",
};
const field: CSSProperties = {
  flex: "1 1 8em",
  minWidth: 0,
  padding: "4px 8px",
  color: "inherit",
  background: "var(--fo-palette-background-level1)",
  border: "1px solid var(--fo-palette-primary-plainBorder)",
  borderRadius: 4,
};
const text: CSSProperties = { margin: 0, lineHeight: 1.4, flexShrink: 0 };

const button: CSSProperties = { ...field, flex: "0 0 auto", cursor: "pointer" };

export const styles = {
  panel: {
    display: "flex",
    flexDirection: "column",
    gap: 12,
    padding: 16,
    boxSizing: "border-box",
    height: "100%",
    overflow: "auto",
    color: "var(--fo-palette-text-primary)",
  } satisfies CSSProperties,
  row,
  field,
  button,
  unusable: { ...button, cursor: "default", opacity: 0.4 } satisfies CSSProperties,
  status: text,
  error: { ...text, color: "var(--fo-palette-danger-plainColor)" } satisfies CSSProperties,
  keys: {
    ...text,
    display: "grid",
    gridTemplateColumns: "max-content 1fr",
    gap: "4px 16px",
    color: "var(--fo-palette-text-secondary)",
  } satisfies CSSProperties,
  meaning: { margin: 0 } satisfies CSSProperties,
  help: { ...text, color: "var(--fo-palette-text-secondary)" } satisfies CSSProperties,
};
