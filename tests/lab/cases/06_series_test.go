package cases

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	tableEndpoint = "http://10.88.0.1:8000"
	table         = "kansoku-index"
	// rowShards is in how many hash keys Loki splits the rows of one label, as components/loki sets it.
	rowShards = 16
	lokiTags  = "app.kubernetes.io/name=loki"
)

// seriesUnderOneHashKey is about a truncation that later Loki versions have: they read only the first page, 1 MB, of the rows under one hash
// key, and the series of the other pages are silently missing.
func seriesUnderOneHashKey(t *testing.T) {
	const count, batch = 6400, 1600 // the stack allows 10,000 open streams
	k := cluster(t)
	logs := k.loki(t)
	// All lines have one time, so that they are of one day. The long value makes up for having only so many series: it is in each row.
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	run := fmt.Sprintf("%d-%s", at.Unix(), strings.Repeat("x", 100))
	numbers, shard := seriesOfOneShard(run, count)
	hash := fmt.Sprintf("%02d:fake:d%d:logs:lab_series", shard, at.Unix()/int64((24*time.Hour).Seconds()))

	for first := 0; first < count; first += batch {
		require.NoError(t, logs.pushSeries(t.Context(), run, numbers[first:first+batch], at))
	}
	begun := time.Now()
	require.NoError(t, logs.flush(t.Context()))
	var rows int
	var found pages
	eventually(t, 6*time.Minute, "every series has its row in the table", func() (err error) {
		if found, err = queryTable(t.Context(), hash); err != nil {
			return err
		}
		if rows = len(found.ranges[run]); rows != count {
			return fmt.Errorf("%d of %d rows under hash key %s", rows, count, hash)
		}
		return nil
	})
	figure(t, "%d series of one label value under hash key %s: %d bytes of rows in %d pages, the first with %d rows; flushed after %s",
		rows, hash, found.bytes, found.pages, found.first, time.Since(begun).Round(time.Second))
	require.Greater(t, found.pages, 1, "the rows fit into one page: this is not the case that was to be shown")
	require.Less(t, found.first, count)

	k.scaleStatefulSet(t, "loki", lokiTags, 0)
	k.wipe(t, namespace, "data-loki-0")
	k.scaleStatefulSet(t, "loki", lokiTags, 1)

	matched, err := logs.series(t.Context(), fmt.Sprintf("{lab_series=%q}", run), at.Add(-time.Hour), at.Add(time.Hour))
	require.NoError(t, err)
	distinct := map[string]bool{}
	for _, one := range matched {
		distinct[one["number"]] = true
	}
	selected := fmt.Sprintf("count_over_time({lab_series=%q}[10m])", run)
	lines, err := logs.number(t.Context(), "sum("+selected+")", at.Add(time.Minute))
	require.NoError(t, err)
	counted, err := logs.number(t.Context(), "count("+selected+")", at.Add(time.Minute))
	require.NoError(t, err)
	figure(t, "from S3 and DynamoDB alone, of %d series and lines: %d by the series API, %g counted by LogQL, with %g lines",
		count, len(distinct), counted, lines)
	require.Len(t, matched, count)
	for _, number := range numbers {
		require.Contains(t, distinct, number)
	}
	require.InDelta(t, count, counted, 0)
	require.InDelta(t, count, lines, 0)
}

// seriesOfOneShard chooses values of the label "number" whose series Loki puts into the same shard: it takes the first four bytes of the
// series' ID, which is a hash of the labels in base64.
func seriesOfOneShard(run string, count int) (numbers []string, shard uint32) {
	for i := 0; len(numbers) < count; i++ {
		number := strconv.Itoa(i)
		id := sha256.Sum256(fmt.Appendf(nil, "logs{lab_series=%q, number=%q}", run, number))
		of := binary.BigEndian.Uint32([]byte(base64.RawStdEncoding.EncodeToString(id[:]))) % rowShards
		if i == 0 {
			shard = of
		}
		if of == shard {
			numbers = append(numbers, number)
		}
	}
	return numbers, shard
}

// pushSeries sends one line to each of many series.
func (l lokiAPI) pushSeries(ctx context.Context, run string, numbers []string, at time.Time) error {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	var streams []stream
	for _, number := range numbers {
		streams = append(streams, stream{
			map[string]string{"lab_series": run, "number": number},
			[][2]string{{strconv.FormatInt(at.UnixNano(), 10), "line of series " + number}},
		})
	}
	body, err := json.Marshal(map[string]any{"streams": streams})
	if err != nil {
		return fmt.Errorf("encoding streams: %w", err)
	}
	_, err = call(ctx, http.MethodPost, l.url+"/loki/api/v1/push", http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	return err
}

// series lists the labels of all series that match.
func (l lokiAPI) series(ctx context.Context, matcher string, start, end time.Time) ([]map[string]string, error) {
	var answer struct{ Data []map[string]string }
	err := l.get(ctx, "series", url.Values{
		"match[]": {matcher}, "start": {strconv.FormatInt(start.UnixNano(), 10)}, "end": {strconv.FormatInt(end.UnixNano(), 10)},
	}, &answer)
	return answer.Data, err
}

// number is the one number that a metric query of LogQL has at one time.
func (l lokiAPI) number(ctx context.Context, logql string, at time.Time) (float64, error) {
	var answer struct {
		Data struct{ Result []struct{ Value sample } }
	}
	if err := l.get(ctx, "query", url.Values{"query": {logql}, "time": {strconv.FormatInt(at.UnixNano(), 10)}}, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%s: %d results, not one", logql, len(answer.Data.Result))
	}
	return answer.Data.Result[0].Value.Value, nil
}

func (l lokiAPI) get(ctx context.Context, path string, params url.Values, into any) error {
	content, err := call(ctx, http.MethodGet, l.url+"/loki/api/v1/"+path+"?"+params.Encode(), nil, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("decoding Loki's answer to %s: %w", path, err)
	}
	return nil
}

// pages are the rows under one hash key.
type pages struct {
	pages, first, bytes int
	ranges              map[string]map[string]bool // range keys by the row's value
}

// callTable calls DynamoDB. The lab's checks no signature, but wants one.
func callTable(ctx context.Context, operation string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding a call of the table: %w", err)
	}
	return call(ctx, http.MethodPost, tableEndpoint, http.Header{
		"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"DynamoDB_20120810." + operation},
		"X-Amz-Date": {time.Now().UTC().Format("20060102T150405Z")},
		"Authorization": {
			"AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
		},
	}, bytes.NewReader(body))
}

// queryTable reads all rows under a hash key of the index, page by page.
func queryTable(ctx context.Context, hash string) (pages, error) {
	found := pages{ranges: map[string]map[string]bool{}}
	request := map[string]any{
		"TableName": table, "KeyConditionExpression": "h = :h",
		"ExpressionAttributeValues": map[string]any{":h": map[string]string{"S": hash}},
	}
	for {
		content, err := callTable(ctx, "Query", request)
		if err != nil {
			return found, err
		}
		var page struct {
			Items []struct {
				H struct{ S string }
				R struct{ B []byte }
				C struct{ B []byte }
			}
			LastEvaluatedKey map[string]any
		}
		if err := json.Unmarshal(content, &page); err != nil {
			return found, fmt.Errorf("decoding a page of the table: %w", err)
		}
		if found.pages == 0 {
			found.first = len(page.Items)
		}
		found.pages++
		for _, row := range page.Items {
			value := string(row.C.B)
			if found.ranges[value] == nil {
				found.ranges[value] = map[string]bool{}
			}
			found.ranges[value][string(row.R.B)] = true
			found.bytes += len("hrc") + len(row.H.S) + len(row.R.B) + len(row.C.B) // as DynamoDB counts
		}
		if page.LastEvaluatedKey == nil {
			return found, nil
		}
		request["ExclusiveStartKey"] = page.LastEvaluatedKey
	}
}
