package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// apiServer shows what of the control plane can be seen on EKS.
func (o Options) apiServer() board {
	const long = `verb!~"WATCH|CONNECT"`
	requests := rate("apiserver_request_total" + server())
	b := board{
		name: "apiserver", title: "API server", about: "Does the API server answer, how fast, and who asks?", variables: base(),
		rows: []row{{"Does it answer?", nil}},
	}
	first := &b.rows[0]
	if !o.NoRecords {
		const requested, bad = `cluster:apiserver_request:rate5m{cluster="$cluster"}`, `cluster:apiserver_request_bad:rate5m{cluster="$cluster"}`
		first.panels = append(first.panels,
			number("Good requests", units.PercentUnit, "Share of the requests, in the time that is shown, that neither failed nor took too long.",
				"1 - sum("+bad+") / sum("+requested+")").over("mean").below(0.99, 0.995).sized(4, 8),
			graph("Bad requests", units.PercentUnit, "Share of the requests that failed, were ended or took too long: 1 second for changes and "+
				"single objects, 5 for a namespace, 30 for the whole cluster.", query{"sum(" + bad + ") / sum(" + requested + ")", "bad"}).
				above(0.005, 0.01).sized(10, 8))
	}
	first.panels = append(first.panels,
		graph("Errors", units.RequestsPerSecond, "Answers with codes of 500 and above.",
			query{sum("code, verb", rate("apiserver_request_total"+server(`code=~"5.."`))), "{{code}} {{verb}}"}).sized(10, 8),
		graph("Requests by verb", units.RequestsPerSecond, "", query{sum("verb", requests), "{{verb}}"}).stack(),
		graph("Requests by code", units.RequestsPerSecond, "", query{sum("code", requests), "{{code}}"}).stack(),
		graph("Slowest requests by verb", units.Seconds, "99th percentile, without what lasts by its nature (watches, logs). Coarse: the buckets "+
			"between those that objectives need are not kept.",
			query{quantile("0.99", "verb", "apiserver_request_sli_duration_seconds", server(long)), "{{verb}}"}),
		graph("Most asked for", units.RequestsPerSecond, "The ten kinds of objects with the most requests.",
			query{"topk(10, " + sum("resource", requests) + ")", "{{resource}}"}))
	b.rows = append(b.rows,
		row{"Does it have room?", []panel{
			graph("Requests in flight", units.Short, "",
				query{aggregate("sum", "request_kind", "apiserver_current_inflight_requests"+server()), "{{request_kind}}"}),
			graph("Requests turned away", units.RequestsPerSecond, "By priority level: others were first.",
				query{sum("priority_level, reason", rate("apiserver_flowcontrol_rejected_requests_total"+server())), "{{priority_level}} {{reason}}"}),
			graph("Seats taken", units.PercentUnit, "Of each priority level. At 1 requests wait for each other.",
				query{sum("priority_level", "apiserver_flowcontrol_current_executing_seats"+server()) + " / " +
					sum("priority_level", "apiserver_flowcontrol_current_limit_seats"+server()), "{{priority_level}}"}),
			graph("Waiting for a seat", units.Seconds, "99th percentile, by priority level.",
				query{quantile("0.99", "priority_level", "apiserver_flowcontrol_request_wait_duration_seconds", server()), "{{priority_level}}"}),
			graph("Memory", units.BytesIEC, "Of each API server that answers under the one address.",
				query{"process_resident_memory_bytes" + server(), "{{instance}}"}),
			graph("CPU", units.Short, "Cores, of each API server that answers under the one address.",
				query{rate("process_cpu_seconds_total" + server()), "{{instance}}"}),
		}},
		row{"What is behind it?", []panel{
			graph("etcd", units.Seconds, "99th percentile of the time that etcd takes, by operation. Coarse, as above.",
				query{quantile("0.99", "operation", "etcd_request_duration_seconds", server()), "{{operation}}"}),
			graph("Objects", units.Short, "The ten kinds of which there are most.",
				query{`topk(10, max by (resource, group) (apiserver_resource_objects` + server() + `))`, "{{resource}} {{group}}"}),
			graph("Webhooks", units.Seconds, "99th percentile of the time that admission webhooks take.",
				query{quantile("0.99", "name", "apiserver_admission_webhook_admission_duration_seconds", server()), "{{name}}"}),
			graph("APIs that do not answer", units.Short, "1 while an API that something in the cluster adds is not available.",
				query{aggregate("max", "name", "aggregator_unavailable_apiservice"+server()), "{{name}}"}).bad(1),
		}})
	return b
}

// coreDNS shows the cluster's DNS.
func (o Options) coreDNS() board {
	answers := func(matchers ...string) string { return rate("coredns_dns_responses_total" + dns(matchers...)) }
	return board{
		name: "coredns", title: "CoreDNS", about: "Do names resolve, and how fast?", variables: base(),
		rows: []row{
			{"Do names resolve?", []panel{
				number("Failed", units.PercentUnit, "Share of the answers, in the time that is shown, that are SERVFAIL.",
					orZero(share(sum("", answers(`rcode="SERVFAIL"`)), sum("", answers())))).over("mean").above(0.01, 0.05).sized(4, 8),
				graph("Answers by code", units.RequestsPerSecond, "NXDOMAIN is no error: pods try the search domains in turn.",
					query{sum("rcode", answers()), "{{rcode}}"}).stack().sized(10, 8),
				graph("Questions by type", units.RequestsPerSecond, "",
					query{sum("type", rate("coredns_dns_requests_total"+dns())), "{{type}}"}).stack().sized(10, 8),
				graph("How long answers take", units.Seconds, "",
					query{quantile("0.99", "", "coredns_dns_request_duration_seconds", dns()), "99th percentile"},
					query{quantile("0.5", "", "coredns_dns_request_duration_seconds", dns()), "median"}).above(0.5, 1),
				graph("Questions by pod", units.RequestsPerSecond, "", query{sum("pod", rate("coredns_dns_requests_total"+dns())), "{{pod}}"}),
			}},
			{"Where answers come from", []panel{
				graph("Cache", units.PercentUnit, "Share of the questions that are answered from the cache.",
					query{sum("", rate("coredns_cache_hits_total"+dns())) + " / " + sum("", rate("coredns_cache_requests_total"+dns())), "hits"}).ratio(),
				graph("In the cache", units.Short, "", query{sum("type", "coredns_cache_entries"+dns()), "{{type}}"}),
				graph("Resolvers outside", units.Seconds, "99th percentile of the time that the resolvers take that CoreDNS asks itself.",
					query{quantile("0.99", "to", "coredns_proxy_request_duration_seconds", dns()), "{{to}}"}),
				graph("Answers of the resolvers outside", units.RequestsPerSecond, "",
					query{sum("to, rcode", rate("coredns_proxy_request_duration_seconds_count"+dns())), "{{to}} {{rcode}}"}),
			}},
			{"CoreDNS itself", []panel{
				graph("Panics", units.Short, "Errors of the program itself, within each moment that is shown.",
					query{sum("pod", "increase(coredns_panics_total"+dns()+rateWindow+")"), "{{pod}}"}).bad(1).sized(8, 8),
				graph("Memory", units.BytesIEC, "", query{sum("namespace, pod", "process_resident_memory_bytes"+dns()), "{{pod}}"}).sized(8, 8).
					leads(o.toPod(label)...),
				graph("CPU", units.Short, "Cores.", query{sum("namespace, pod", rate("process_cpu_seconds_total"+dns())), "{{pod}}"}).
					sized(8, 8).leads(o.toPod(label)...),
			}},
		},
	}
}
