// The plugin's part that runs in FiftyOne's App.
import { app, PANEL } from "./app";
import { Panel } from "./panel";

app.__fop__.registerComponent({
  name: PANEL,
  label: "Re-prompt",
  component: Panel,
  type: app.__fop__.PluginComponentType.Panel,
  activator: () => true,
  panelOptions: { surfaces: "modal", allowDuplicates: false },
});
