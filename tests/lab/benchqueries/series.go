package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"
)

// size of the cluster whose series there are.
type size struct {
	pods     int
	interval time.Duration
}

// series is one of them: its value after some seconds.
type series struct {
	labels string
	value  func(seconds float64) float64
}

func always(value float64) func(float64) float64 { return func(float64) float64 { return value } }

func counter(perSecond float64) func(float64) float64 {
	return func(seconds float64) float64 { return seconds * perSecond }
}

// Of two containers a pod has one that does the work.
const containers = 2

// perWorkload is how many pods a deployment has, podsPerNode how many a node.
const (
	perWorkload = 4
	podsPerNode = 15
)

// of lists the series of a day. Its pods are others than those of the day before, as on spot nodes.
func (s size) of(day int) []series {
	var all []series
	add := func(value func(float64) float64, format string, args ...any) {
		all = append(all, series{fmt.Sprintf(format, args...), value})
	}
	const (
		cadvisor = `cluster="bench",job="kubelet",metrics_path="/metrics/cadvisor"`
		state    = `cluster="bench",job="kube-state-metrics"`
		records  = `cluster="bench"`
	)
	for i := range s.pods {
		workload := i / perWorkload
		name := fmt.Sprintf("workload-%d", workload)
		replicaset := fmt.Sprintf("%s-%09x", name, day)
		id := fmt.Sprintf(`namespace="team-%d",pod="%s-%05d"`, workload%10, replicaset, i)
		node := fmt.Sprintf(`node="node-%d"`, i/podsPerNode)
		for c := range containers {
			container := fmt.Sprintf(`%s,container="c%d"`, id, c)
			add(counter(0.1), `container_cpu_usage_seconds_total{%s,%s,%s}`, cadvisor, container, node)
			add(always(1e8), `container_memory_working_set_bytes{%s,%s,%s}`, cadvisor, container, node)
			for _, resource := range []string{"cpu", "memory"} {
				add(always(0.2), `kube_pod_container_resource_requests{%s,%s,%s,resource="%s"}`, state, container, node, resource)
			}
			add(always(1), `kube_pod_container_status_restarts_total{%s,%s}`, state, container)
		}
		for _, metric := range []string{"receive", "transmit"} {
			add(counter(1e4), `container_network_%s_bytes_total{%s,%s,interface="eth0",%s}`, metric, cadvisor, id, node)
		}
		add(always(1), `kube_pod_info{%s,%s,%s}`, state, id, node)
		add(always(1), `kube_pod_owner{%s,%s,owner_kind="ReplicaSet",owner_name="%s"}`, state, id, replicaset)
		add(always(1), `kube_pod_status_ready{%s,%s,condition="true"}`, state, id)
		for _, phase := range []string{"Failed", "Pending", "Running", "Succeeded", "Unknown"} {
			value := 0.0
			if phase == "Running" {
				value = 1
			}
			add(always(value), `kube_pod_status_phase{%s,%s,phase="%s"}`, state, id, phase)
		}
		if i%perWorkload == 0 {
			add(always(1), `kube_replicaset_owner{%s,namespace="team-%d",replicaset="%s",owner_kind="Deployment",owner_name="%s"}`, state, workload%10,
				replicaset, name)
		}
		if i%podsPerNode == 0 {
			add(always(1), `kube_node_info{%s,%s}`, state, node)
			add(always(1), `kube_node_labels{%s,%s,label_lifecycle="Ec2Spot",label_topology_kubernetes_io_zone="zone-%d"}`, state, node, i/podsPerNode%3)
			add(always(1), `node_zone:spot_nodes:info{%s,%s,zone="zone-%d"}`, records, node, i/podsPerNode%3)
			for _, resource := range []string{"cpu", "memory"} {
				add(always(2), `kube_node_status_allocatable{%s,%s,resource="%s"}`, state, node, resource)
			}
		}
		add(always(0.1*containers), `namespace_pod:container_cpu_usage:rate5m{%s,%s}`, records, id)
		add(always(1e8*containers), `namespace_pod:container_memory_working_set_bytes:sum{%s,%s}`, records, id)
		add(always(1), `namespace_pod_workload:kube_pod_owner:info{%s,%s,workload="%s",kind="Deployment"}`, records, id, name)
	}
	for _, operation := range []string{"upload", "iter", "get", "get_range", "exists"} {
		add(counter(2), `thanos_objstore_bucket_operations_total{cluster="bench",job="thanos-store",namespace="monitoring",operation="%s"}`, operation)
	}
	for _, operation := range []string{"S3.PutObject", "S3.GetObject"} {
		add(counter(1), `loki_s3_request_duration_seconds_count{cluster="bench",job="loki",namespace="monitoring",operation="%s"}`, operation)
	}
	add(counter(10), `loki_dynamo_consumed_capacity_total{cluster="bench",job="loki",namespace="monitoring",operation="DynamoDB.BatchWriteItem"}`)
	return all
}

// write makes the samples of a day as OpenMetrics, in the order of time, and returns how many there are.
func (s size) write(path string, from time.Time, day int) (samples int, err error) {
	file, err := os.Create(path) //nolint:gosec // in our own directory
	if err != nil {
		return 0, fmt.Errorf("creating samples: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	all := s.of(day)
	for at := from; at.Before(from.Add(24 * time.Hour)); at = at.Add(s.interval) {
		for _, one := range all {
			if _, err = fmt.Fprintf(out, "%s %g %d\n", one.labels, one.value(at.Sub(from).Seconds()), at.Unix()); err != nil {
				return 0, fmt.Errorf("writing samples: %w", err)
			}
		}
		samples += len(all)
	}
	if _, err = out.WriteString("# EOF\n"); err != nil {
		return 0, fmt.Errorf("writing samples: %w", err)
	}
	if err = out.Flush(); err != nil {
		return 0, fmt.Errorf("writing samples: %w", err)
	}
	return samples, nil
}
