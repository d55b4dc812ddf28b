// The types that the dashboards are checked by: those of Grafana for the dashboard, for each kind of panel and for the queries of Loki
// and Tempo; for Prometheus, VictoriaLogs and Jaeger, whose types @grafana/schema does not have, the fields that are documented.
//
// TypeScript rejects unknown fields of an object that is written in the code, so the test writes the JSON into the code.

import type { Dashboard, DataSourceRef, FieldConfig, FieldConfigSource, Panel, RowPanel } from "@grafana/schema";
import type { Options as BarGauge } from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type { LokiDataQuery } from "@grafana/schema/dist/esm/raw/composable/loki/dataquery/x/LokiDataQuery_types.gen";
import type { Options as Logs } from "@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen";
import type {
  FieldConfig as PieChartField,
  Options as PieChart,
} from "@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen";
import type { Options as Stat } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type {
  FieldConfig as TableField,
  Options as Table,
} from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { TempoQuery } from "@grafana/schema/dist/esm/raw/composable/tempo/dataquery/x/TempoDataQuery_types.gen";
import type {
  FieldConfig as TimeSeriesField,
  Options as TimeSeries,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// The values of an enumeration of texts are texts in JSON.
type InJson<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? InJson<Item>[]
    : T extends object
      ? { [Key in keyof T]: InJson<T[Key]> }
      : T;

type Source<Type extends string> = DataSourceRef & { type: Type; uid: "${metrics}" | "${logs}" | "${traces}" };

interface PrometheusQuery {
  refId: string;
  datasource: Source<"prometheus">;
  expr: string;
  legendFormat: string;
  editorMode: "code" | "builder";
  range: boolean;
  instant: boolean;
  exemplar?: boolean;
  format?: "time_series" | "table" | "heatmap";
  interval?: string;
}

interface VictoriaLogsQuery {
  refId: string;
  datasource: Source<"victoriametrics-logs-datasource">;
  expr: string;
  queryType: "instant" | "stats" | "statsRange" | "hits";
  editorMode: "code" | "builder";
  legendFormat?: string;
  maxLines?: number;
}

interface JaegerQuery {
  refId: string;
  datasource: Source<"jaeger">;
  queryType: "search";
  service: string;
  operation?: string;
  tags?: string;
  limit: number;
}

type Query =
  | PrometheusQuery
  | VictoriaLogsQuery
  | JaegerQuery
  | (InJson<Omit<LokiDataQuery, "datasource">> & { datasource: Source<"loki"> })
  | (InJson<Omit<TempoQuery, "datasource">> & { datasource: Source<"tempo"> });

interface PanelOf<Type extends string, Options, Custom = never>
  extends Omit<InJson<Panel>, "type" | "options" | "fieldConfig" | "targets"> {
  type: Type;
  title: string;
  description: string;
  options?: InJson<Partial<Options>>;
  fieldConfig: Omit<InJson<FieldConfigSource>, "defaults"> & {
    defaults: Omit<InJson<FieldConfig>, "custom"> & { custom?: InJson<Partial<Custom>> };
  };
  targets: Query[];
}

type AnyPanel =
  | PanelOf<"bargauge", BarGauge>
  | PanelOf<"logs", Logs>
  | PanelOf<"piechart", PieChart, PieChartField>
  | PanelOf<"stat", Stat>
  | PanelOf<"table", Table, TableField>
  | PanelOf<"timeseries", TimeSeries, TimeSeriesField>;

type Row = Omit<InJson<RowPanel>, "panels"> & { panels: AnyPanel[] };

export type CheckedDashboard = Omit<InJson<Dashboard>, "panels"> & { panels: (AnyPanel | Row)[] };
