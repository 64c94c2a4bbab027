package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	nodeName = "lab"
	// room is what the pods of the stack may take on the node.
	room = 6e9
	// ours are the series of single containers of the stack, those of sandboxes (without a name) left out.
	ours       = `{namespace=~"monitoring|monitoring-host",container!=""}`
	memoryOver = `container_memory_working_set_bytes` + ours
	cpuOver    = `rate(container_cpu_usage_seconds_total` + ours + `[1m])`
	// since is as long as the lab's Prometheus keeps samples.
	since = "6h"
)

// container names one container of one pod.
type container struct{ namespace, pod, name string }

// figures are what one container takes, or a sum over several.
type figures struct {
	cpu, cpuMax       float64 // cores: on average since its start, and at most over a minute
	memory, memoryMax float64 // bytes: working set
	cpuRequest        float64
	cpuLimit          float64
	memoryRequest     float64
	memoryLimit       float64
	restarts          int32
}

// usageRow is a container of a workload: of its pods the largest figures, since requests and limits are for each pod; restarts of all.
type usageRow struct {
	workload, container string
	pods                int
	figures
}

// Usage prints what every workload takes beside what it asks for, a line per container: of several pods the one that takes the most.
// Now is what the kubelet says, at most what the lab's own Prometheus has recorded.
func Usage(ctx context.Context, out io.Writer) error {
	c, err := connect(nil)
	if err != nil {
		return err
	}
	var pods []nativecorev1.Pod
	for _, namespace := range []string{"monitoring", "monitoring-host"} {
		var list *nativecorev1.PodList
		if list, err = c.typed.CoreV1().Pods(namespace).List(ctx, nativemetav1.ListOptions{}); err != nil {
			return fmt.Errorf("listing the pods: %w", err)
		}
		pods = append(pods, list.Items...)
	}
	owners, err := deploymentsOf(ctx, c.typed)
	if err != nil {
		return err
	}
	used, err := now(ctx, c.typed)
	if err != nil {
		return err
	}
	rows, total, err := withPeaks(ctx, c.typed, pods, owners, used)
	if err != nil {
		return err
	}
	return printUsage(out, rows, total)
}

// withPeaks adds what Prometheus has recorded, and makes the table.
func withPeaks(ctx context.Context, client kubernetes.Interface, pods []nativecorev1.Pod, owners map[string]string, used map[container]figures,
) ([]usageRow, figures, error) {
	peaks := map[string]map[container]float64{}
	for name, query := range map[string]string{
		"memory": fmt.Sprintf("max_over_time(%s[%s])", memoryOver, since),
		"cpu":    fmt.Sprintf("max_over_time(%s[%s:15s])", cpuOver, since),
		// The peaks of single containers are not at the same time.
		"all memory": fmt.Sprintf("max_over_time(sum(%s)[%s:15s])", memoryOver, since),
		"all cpu":    fmt.Sprintf("max_over_time(sum(%s)[%s:15s])", cpuOver, since),
	} {
		found, err := recorded(ctx, client, query)
		if err != nil {
			return nil, figures{}, err
		}
		peaks[name] = found
	}
	for key, one := range used {
		one.memoryMax, one.cpuMax = max(one.memory, peaks["memory"][key]), max(one.cpu, peaks["cpu"][key])
		used[key] = one
	}
	rows, total := tabulate(pods, owners, used)
	total.memoryMax, total.cpuMax = max(total.memory, peaks["all memory"][container{}]), max(total.cpu, peaks["all cpu"][container{}])
	return rows, total, nil
}

// deploymentsOf gives the name of the Deployment of every ReplicaSet, both with their namespace.
func deploymentsOf(ctx context.Context, client kubernetes.Interface) (map[string]string, error) {
	sets, err := client.AppsV1().ReplicaSets("").List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the replica sets: %w", err)
	}
	owners := map[string]string{}
	for _, set := range sets.Items {
		if owner := nativemetav1.GetControllerOf(&set); owner != nil {
			owners[set.Namespace+"/"+set.Name] = owner.Name
		}
	}
	return owners, nil
}

// workloadOf names what a pod belongs to.
func workloadOf(pod *nativecorev1.Pod, deployments map[string]string) string {
	owner := nativemetav1.GetControllerOf(pod)
	if owner == nil {
		return pod.Namespace + "/" + pod.Name
	}
	if name := deployments[pod.Namespace+"/"+owner.Name]; owner.Kind == "ReplicaSet" && name != "" {
		return pod.Namespace + "/" + name
	}
	return pod.Namespace + "/" + owner.Name
}

// tabulate makes the rows, sorted, and the sum over all containers.
func tabulate(pods []nativecorev1.Pod, deployments map[string]string, used map[container]figures) ([]usageRow, figures) {
	rows := map[[2]string]*usageRow{}
	var total figures
	for i := range pods {
		pod := &pods[i]
		restarts := map[string]int32{}
		for _, c := range pod.Status.ContainerStatuses {
			restarts[c.Name] = c.RestartCount
		}
		for _, c := range pod.Spec.Containers {
			one := used[container{pod.Namespace, pod.Name, c.Name}]
			one.restarts = restarts[c.Name]
			one.cpuRequest, one.memoryRequest = amounts(c.Resources.Requests)
			one.cpuLimit, one.memoryLimit = amounts(c.Resources.Limits)
			key := [2]string{workloadOf(pod, deployments), c.Name}
			if rows[key] == nil {
				rows[key] = &usageRow{workload: key[0], container: key[1]}
			}
			rows[key].pods++
			rows[key].figures = rows[key].combine(one, func(a, b float64) float64 { return max(a, b) })
			total = total.combine(one, func(a, b float64) float64 { return a + b })
		}
	}
	sorted := make([]usageRow, 0, len(rows))
	for _, row := range rows {
		sorted = append(sorted, *row)
	}
	slices.SortFunc(sorted, func(a, b usageRow) int {
		return cmp.Or(cmp.Compare(a.workload, b.workload), cmp.Compare(a.container, b.container))
	})
	return sorted, total
}

// amounts of CPU and memory in a list; 0 for what it does not have.
func amounts(list nativecorev1.ResourceList) (cpu, memory float64) {
	return list.Cpu().AsApproximateFloat64(), list.Memory().AsApproximateFloat64()
}

func (f figures) combine(g figures, with func(a, b float64) float64) figures {
	return figures{
		cpu: with(f.cpu, g.cpu), cpuMax: with(f.cpuMax, g.cpuMax), memory: with(f.memory, g.memory), memoryMax: with(f.memoryMax, g.memoryMax),
		cpuRequest: with(f.cpuRequest, g.cpuRequest), cpuLimit: with(f.cpuLimit, g.cpuLimit),
		memoryRequest: with(f.memoryRequest, g.memoryRequest), memoryLimit: with(f.memoryLimit, g.memoryLimit),
		restarts: f.restarts + g.restarts,
	}
}

// now is what the kubelet says of every container.
func now(ctx context.Context, client kubernetes.Interface) (map[container]figures, error) {
	answer, err := client.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/" + nodeName + "/proxy/stats/summary").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the kubelet: %w", err)
	}
	return summary(answer, time.Now())
}

// summary reads the kubelet's answer.
func summary(answer []byte, at time.Time) (map[container]figures, error) {
	var read struct {
		Pods []struct {
			PodRef     struct{ Name, Namespace string }
			Containers []struct {
				Name      string
				StartTime time.Time
				CPU       struct{ UsageCoreNanoSeconds float64 }
				Memory    struct{ WorkingSetBytes float64 }
			}
		}
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return nil, fmt.Errorf("reading the kubelet's answer: %w", err)
	}
	used := map[container]figures{}
	for _, pod := range read.Pods {
		for _, c := range pod.Containers {
			one := figures{memory: c.Memory.WorkingSetBytes}
			if age := at.Sub(c.StartTime); age > 0 {
				one.cpu = c.CPU.UsageCoreNanoSeconds / float64(age)
			}
			used[container{pod.PodRef.Namespace, pod.PodRef.Name, c.Name}] = one
		}
	}
	return used, nil
}

// recorded asks the lab's Prometheus, through the API server.
func recorded(ctx context.Context, client kubernetes.Interface, query string) (map[container]float64, error) {
	answer, err := client.CoreV1().Services("monitoring").ProxyGet("http", "prometheus-k8s", "web", "/api/v1/query",
		map[string]string{"query": query}).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking Prometheus %s: %w", query, err)
	}
	return vector(answer)
}

// vector reads Prometheus' answer to an instant query.
func vector(answer []byte) (map[container]float64, error) {
	var read struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric struct{ Namespace, Pod, Container string }
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return nil, fmt.Errorf("reading Prometheus' answer: %w", err)
	}
	if read.Status != "success" {
		return nil, fmt.Errorf("reading Prometheus' answer: %s", read.Error)
	}
	values := map[container]float64{}
	for _, one := range read.Data.Result {
		text, _ := one.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("reading Prometheus' answer: %w", err)
		}
		values[container{one.Metric.Namespace, one.Metric.Pod, one.Metric.Container}] = value
	}
	return values, nil
}

func printUsage(out io.Writer, rows []usageRow, total figures) error {
	lines := [][]string{{"workload", "container", "pods", "CPU avg", "max", "request", "limit", "memory now", "max", "request", "limit", "restarts"}}
	numbers := func(workload, container string, pods int, f figures) {
		lines = append(lines, []string{
			workload, container, strconv.Itoa(pods), cores(f.cpu), cores(f.cpuMax), cores(f.cpuRequest), cores(f.cpuLimit),
			mebibytes(f.memory), mebibytes(f.memoryMax), mebibytes(f.memoryRequest), mebibytes(f.memoryLimit), strconv.Itoa(int(f.restarts)),
		})
	}
	containers := 0
	for _, row := range rows {
		numbers(row.workload, row.container, row.pods, row.figures)
		containers += row.pods
	}
	total.cpuLimit, total.memoryLimit = 0, 0 // not all have one
	numbers("all", "", containers, total)
	if err := align(out, lines); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	verdict := "within"
	if total.memoryMax > room {
		verdict = "MORE THAN"
	}
	_, err := fmt.Fprintf(out, "CPU in cores, memory in MiB, of the pod that takes the most; max CPU is over a minute.\n"+
		"The stack took %s MiB at most at one time: %s 6 GB (%s MiB).\n", mebibytes(total.memoryMax), verdict, mebibytes(room))
	if err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// align prints names to the left, of which there are two, and numbers to the right.
func align(out io.Writer, lines [][]string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for column := range 2 {
		width := 0
		for _, line := range lines {
			width = max(width, len(line[column]))
		}
		for _, line := range lines {
			line[column] += strings.Repeat(" ", width-len(line[column]))
		}
	}
	for _, line := range lines {
		if _, err := io.WriteString(table, strings.Join(line, "\t")+"\t\n"); err != nil {
			return err //nolint:wrapcheck // printUsage says what for
		}
	}
	return table.Flush() //nolint:wrapcheck // printUsage says what for
}

// cores and mebibytes leave out what is not set.
func cores(value float64) string {
	if value == 0 {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', 3, 64)
}

func mebibytes(value float64) string {
	if value == 0 {
		return "-"
	}
	return strconv.FormatFloat(value/(1<<20), 'f', 0, 64)
}
