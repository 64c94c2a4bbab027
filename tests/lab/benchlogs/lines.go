package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The lines below have what matters for compression: words that come again and again, and numbers that do not.

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0x0fff|0x4000, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func address(r *rand.Rand) string { return fmt.Sprintf("10.20.%d.%d", 32*r.IntN(nodes), 1+r.IntN(254)) }

func path(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("/api/v1/orders/%d", 100000+r.IntN(90000))
	case 1:
		return fmt.Sprintf("/api/v1/products?page=%d&sort=%s", 1+r.IntN(40), pick(r, "price", "name", "rating"))
	case 2:
		return fmt.Sprintf("/static/js/main.%08x.js", r.Uint32()%8)
	default:
		return pick(r, "/", "/cart", "/checkout", "/api/v1/session", "/healthz", "/api/v1/search?q=coffee")
	}
}

func accessLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("%s - - [%s] \"%s %s HTTP/1.1\" %s %d \"https://shop.example.com%s\" \"%s\" %.3f %s",
		address(r), at.Format("02/Jan/2006:15:04:05 -0700"), pick(r, "GET", "GET", "GET", "POST"), path(r),
		pick(r, "200", "200", "200", "200", "304", "404", "502"), r.IntN(40000), pick(r, "/", "/cart", "/search"),
		pick(r, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148",
			"kube-probe/1.36"), r.ExpFloat64()/20, uuid(r))
}

func nginxLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("%s [error] 31#31: *%d upstream timed out (110: Connection timed out) while reading response header from upstream, "+
		"client: %s, server: shop.example.com, request: \"GET %s HTTP/1.1\", upstream: \"http://%s:8080%s\"",
		at.Format("2006/01/02 15:04:05"), r.IntN(9000000), address(r), path(r), address(r), path(r))
}

func jsonLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf(`{"timestamp":%q,"level":%q,"logger":"shop.%s","message":%q,"request_id":%q,"user_id":%d,"path":%q,"duration_ms":%d,"remote":%q}`,
		at.Format(time.RFC3339Nano), pick(r, "info", "info", "info", "debug", "warn"), pick(r, "orders", "session", "catalog", "payment"),
		pick(r, "request served", "cache miss, asking the database", "order placed", "session renewed", "payment authorized"),
		uuid(r), 10000+r.IntN(50000), path(r), r.IntN(900), address(r))
}

func traceLine(r *rand.Rand, at time.Time) string {
	if r.IntN(8) == 0 {
		return fmt.Sprintf("%s ERROR [exec-%d] shop.payment.Client: request %s failed: java.net.SocketTimeoutException: Read timed out",
			at.Format("2006-01-02 15:04:05.000"), r.IntN(32), uuid(r))
	}
	class := pick(r, "org.apache.http.impl.conn.PoolingHttpClientConnectionManager", "shop.payment.Client", "shop.orders.Service",
		"org.springframework.web.servlet.DispatcherServlet")
	return fmt.Sprintf("\tat %s.%s(%s.java:%d)", class, pick(r, "execute", "invoke", "doDispatch", "lease"),
		class[strings.LastIndex(class, ".")+1:], 20+r.IntN(900))
}

func workerLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("time=%s level=info msg=%q job=%s attempt=%d rows=%d duration=%.3fs", at.Format(time.RFC3339Nano),
		pick(r, "job started", "batch written", "job done", "nothing to do"), uuid(r), 1+r.IntN(3), r.IntN(5000), r.ExpFloat64())
}

func postgresLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("%s UTC [27] LOG:  checkpoint complete: wrote %d buffers (%.1f%%); 0 WAL file(s) added, 0 removed, %d recycled; "+
		"write=%.3f s, sync=%.3f s, total=%.3f s; sync files=%d, longest=%.3f s; distance=%d kB, estimate=%d kB",
		at.Format("2006-01-02 15:04:05.000"), r.IntN(4000), 10*r.Float64(), r.IntN(4), 100*r.Float64(), r.Float64(), 100*r.Float64(),
		r.IntN(200), r.Float64(), r.IntN(90000), r.IntN(90000))
}

func redisLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("1:M %s * %s", at.Format("02 Jan 2006 15:04:05.000"), pick(r, "100 changes in 300 seconds. Saving...",
		fmt.Sprintf("Background saving started by pid %d", r.IntN(30000)), "DB saved on disk", "Background saving terminated with success",
		fmt.Sprintf("RDB: %d MB of memory used by copy-on-write", r.IntN(20))))
}

func klogLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("%s%s       1 %s] %s", pick(r, "I", "I", "I", "W"), at.Format("0102 15:04:05.000000"),
		pick(r, "static_autoscaler.go:276", "filter_out_schedulable.go:66", "scale_down.go:411", "trace.go:236", "reflector.go:546"),
		pick(r, "No unschedulable pods",
			fmt.Sprintf("Node ip-10-20-%d-17.ap-northeast-1.compute.internal - cpu utilization %.6f", 32*r.IntN(nodes), r.Float64()),
			fmt.Sprintf("Watch close - *v1.Pod total %d items received", r.IntN(2000)), "Calculating unneeded nodes",
			fmt.Sprintf("Scale-down calculation: ignoring %d nodes unremovable in the last 5m0s", r.IntN(5))))
}

func logfmtLine(r *rand.Rand, at time.Time) string {
	return fmt.Sprintf("ts=%s caller=%s level=info component=%s msg=%q duration=%.6fms", at.Format("2006-01-02T15:04:05.000Z07:00"),
		pick(r, "compact.go:514", "head.go:1312", "fetcher.go:627", "cleanup.go:34", "controller.go:219"),
		pick(r, "tsdb", "compactor", "block.BaseFetcher", "cleanup", "controller"),
		pick(r, "write block", "Head GC completed", "successfully synchronized block metadata", "Completed cleanup jobs",
			"All records are already up to date"), 1000*r.ExpFloat64())
}
