// Keeps a cluster's logs in one bucket: Loki with a TSDB index, and Promtail on every node.
import * as kansoku from "@kansoku/kansoku";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const context = config.require("context");
// As long as the identifier stays, no change of the kubeconfig replaces what is in the cluster.
const cluster = new kubernetes.Provider("cluster", { context, clusterIdentifier: context });

const logs = new kubernetes.core.v1.Namespace("logs", { metadata: { name: "logs" } }, { provider: cluster });
// Promtail reads files of its node, which Pod Security must let it.
const host = new kubernetes.core.v1.Namespace("logs-host", {
    metadata: { name: "logs-host", labels: { "pod-security.kubernetes.io/enforce": "privileged" } },
}, { provider: cluster });

const store = new kansoku.loki.Loki("loki", {
    schema: [{ from: "2026-01-01", index: "tsdb" }], // never change a period that has begun
    retention: "30d",
    storageClass: config.get("storageClass"),
    namespace: logs.metadata.name,
    chunks: { bucket: config.require("bucket"), region: config.require("region") },
    roleArn: config.require("roleArn"),
}, { providers: [cluster] });

new kansoku.promtail.Promtail("promtail", {
    namespace: host.metadata.name,
    pushUrl: store.pushUrl,
}, { providers: [cluster] });

export const lokiUrl = store.url; // what Grafana takes for a data source
