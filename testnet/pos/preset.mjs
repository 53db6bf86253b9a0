// The minimal preset: 8 slots an epoch, so that a chain is final after half a minute of one-second slots. Whoever imports
// anything of Lodestar imports this first, since the preset is read once, when @lodestar/params is loaded.
import { PresetName, setActivePreset } from "@lodestar/params/setPreset";

setActivePreset(PresetName.minimal);
