// What a dashboard of ours may be: Grafana's published types, of its panel of time series and of no other.
import type { Dashboard, FieldConfig, FieldConfigSource, Panel } from "@grafana/schema";
import type {
  FieldConfig as Look,
  Options,
} from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.js";

// JSON has no enumerations: their values stand for them.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// The package leaves a panel's own settings open; these are closed, so that a name that is no setting is refused.
type Defaults = Omit<FieldConfig, "custom"> & { custom: Look };
type Target = { refId: string; datasource: { type: "prometheus"; uid: string }; expr: string; legendFormat: string };
type Series = Omit<Panel, "type" | "targets" | "options" | "fieldConfig"> & {
  type: "timeseries";
  options: Options;
  fieldConfig: Omit<FieldConfigSource, "defaults"> & { defaults: Defaults };
  targets: Target[];
};

export type Ours = Plain<Omit<Dashboard, "panels"> & { panels: Series[] }>;
