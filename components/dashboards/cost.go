package dashboards

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/kansoku/kansoku/internal/check"
)

// Prices in US dollars, without tax.
type Prices struct {
	// S3Write for a thousand PUT, COPY, POST or LIST requests.
	S3Write float64
	// S3Read for a thousand GET or HEAD requests.
	S3Read float64
	// S3Storage for a GB (10^9 bytes) and month in the class Standard.
	S3Storage float64
	// DynamoDBWrite for a million write request units on demand.
	DynamoDBWrite float64
	// DynamoDBRead for a million read request units on demand.
	DynamoDBRead float64
	// VolumeStorage for a GB and month of an EBS volume, gp3.
	VolumeStorage float64
}

// Tokyo are the list prices of ap-northeast-1, as public cost models quoted the AWS Price List API on 2026-09-23 (S3, DynamoDB) and another
// the price of gp3: read second hand, so look them up before a decision hangs on them.
func Tokyo() Prices {
	return Prices{S3Write: 0.0047, S3Read: 0.00037, S3Storage: 0.025, DynamoDBWrite: 0.715, DynamoDBRead: 0.1425, VolumeStorage: 0.096}
}

func (p Prices) validate() error {
	var errs check.Errors
	for _, one := range []struct {
		key   string
		price float64
	}{
		{"s3Write", p.S3Write},
		{"s3Read", p.S3Read},
		{"s3Storage", p.S3Storage},
		{"dynamoDBWrite", p.DynamoDBWrite},
		{"dynamoDBRead", p.DynamoDBRead},
		{"volumeStorage", p.VolumeStorage},
	} {
		errs.Require(one.price >= 0, one.key, one.price, "must not be negative")
	}
	return errs.Err()
}

// secondsPerMonth of AWS' bills: 730 hours.
const secondsPerMonth = 730 * 3600

const gigabyte = 1e9

// Operations by what S3 asks for them; to delete is free.
const (
	blockWrites = `operation=~"upload|iter"`
	blockReads  = `operation=~"get|get_range|exists|attributes"`
	chunkWrites = `operation=~"S3.(PutObject|List)"`
	chunkReads  = `operation=~"S3.(GetObject|ObjectExists|GetAttributes)"`
)

// item is one line of the bill: what it is, and an expression of its price per month at the rate of now.
type item struct{ name, perMonth string }

// dollars multiplies a rate per second by its price.
func dollars(perSecond string, price float64) string {
	return fmt.Sprintf("sum(%s) * %s", perSecond, strconv.FormatFloat(price*secondsPerMonth, 'g', 10, 64))
}

// bill is what the stack pays for by use. Nodes, the cluster and traffic are not in it.
func (o Options) bill() []item {
	p := o.Prices
	blocks := func(operations string) string {
		return rate("thanos_objstore_bucket_operations_total" + in(`job=~"thanos-.+"`, `namespace="`+o.Namespace+`"`, operations))
	}
	all := []item{
		{"S3 requests, metrics: writes", dollars(blocks(blockWrites), p.S3Write/1000)},
		{"S3 requests, metrics: reads", dollars(blocks(blockReads), p.S3Read/1000)},
		{
			"S3 storage, metrics: a month's uploads",
			dollars(rate("thanos_objstore_bucket_operation_transferred_bytes_sum"+o.of("thanos-sidecar", `operation="upload"`)), p.S3Storage/gigabyte),
		},
		{
			"Volumes", fmt.Sprintf("sum(kube_persistentvolumeclaim_resource_requests_storage_bytes%s) * %s",
				state(`namespace="`+o.Namespace+`"`), strconv.FormatFloat(p.VolumeStorage/gigabyte, 'g', 10, 64)),
		},
	}
	if o.logs() {
		requests := func(operations string) string {
			return rate("loki_s3_request_duration_seconds_count" + o.of("loki", operations))
		}
		all = append(all,
			item{"S3 requests, logs: writes", dollars(requests(chunkWrites), p.S3Write/1000)},
			item{"S3 requests, logs: reads", dollars(requests(chunkReads), p.S3Read/1000)},
			item{
				"S3 storage, logs: a month's chunks",
				dollars(rate("loki_ingester_chunk_stored_bytes_total"+o.of("loki")), p.S3Storage/gigabyte),
			})
	}
	if o.DynamoDB {
		consumed := func(operation string) string {
			return rate("loki_dynamo_consumed_capacity_total" + o.of("loki", `operation=~"`+operation+`"`))
		}
		all = append(all,
			item{"DynamoDB, logs: writes", dollars(consumed("DynamoDB.BatchWriteItem"), p.DynamoDBWrite/1e6)},
			item{"DynamoDB, logs: reads", dollars(consumed("DynamoDB.Query.*|DynamoDB.BatchGet.*"), p.DynamoDBRead/1e6)})
	}
	return all
}

// costs has what the stack costs, as far as its own metrics say.
func (o Options) costs() row {
	const estimate = "An estimate at list prices in US dollars, from rates of requests and bytes as Thanos and Loki count them: no more than " +
		"that. Nodes, the cluster itself, traffic and DynamoDB's storage are not in it. Elsewhere than on AWS: what it would cost there."
	bill := o.bill()
	var parts []string
	var queries []query
	for _, one := range bill {
		parts = append(parts, "("+one.perMonth+" or vector(0))")
		queries = append(queries, query{one.perMonth, one.name})
	}
	requests := []query{{
		sum("job, operation", rate("thanos_objstore_bucket_operations_total"+in(`job=~"thanos-.+"`, `namespace="`+o.Namespace+`"`))),
		"{{job}} {{operation}}",
	}}
	if o.logs() {
		requests = append(requests, query{sum("job, operation", rate("loki_s3_request_duration_seconds_count"+o.of("loki"))), "{{job}} {{operation}}"})
	}
	panels := []panel{
		number("Per month", units.Dollars, "What a month costs that goes on like the time that is shown. "+estimate,
			strings.Join(parts, " + ")).over("mean").sized(4, 8),
		graph("Per month, by what for", units.Dollars, estimate, queries...).stack().sized(10, 8),
		graph("Requests to S3", units.RequestsPerSecond, "Uploads and lists (PUT, LIST) cost twelve times what reads do; to delete is free.",
			requests...).stack().sized(10, 8),
	}
	if o.DynamoDB {
		panels = append(panels, graph("Request units of DynamoDB", units.CountsPerSecond,
			"A write unit is a row of up to 1 KB, a read unit up to 8 KB that may be a moment old.",
			query{sum("operation", rate("loki_dynamo_consumed_capacity_total"+o.of("loki"))), "{{operation}}"}).stack().sized(12, 8))
	}
	return row{"What does it cost?", panels}
}
