package loki

import (
	"slices"
	"time"

	"github.com/kansoku/kansoku/internal/check"
)

const (
	// rollout is what every replica needs to run with a new period before it begins: what it has written by then is under the old one.
	rollout = time.Hour
	// late is by how much what is stored of a day outlives the day's retention: a chunk is put up to MaxChunkAge after its first line, and S3
	// expires at the midnight after an age is reached.
	late = 2 * 24 * time.Hour
)

// MigrateToTSDB is a schema with one more period, whose index is in TSDB from day ("2027-01-10", UTC) on. What there is stays as it is: Loki
// versions.LokiDynamoDB reads and writes both. It refuses a day that does not begin an hour after now at least, since a period that has begun
// must not change, and a schema whose last index is not in DynamoDB.
func MigrateToTSDB(schema []Period, day string, now time.Time) ([]Period, error) {
	var errs check.Errors
	before := Settings{Schema: schema}.WithDefaults()
	before.validateSchema(&errs)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	last := before.Schema[len(before.Schema)-1]
	errs.Require(last.Index == DynamoDB, last.key(len(before.Schema)-1)+".index", last.Index,
		"must be dynamodb: the index moves to TSDB on %s already", last.From)
	earliest := now.UTC().Add(rollout + 24*time.Hour - time.Nanosecond).Truncate(24 * time.Hour)
	from, err := time.Parse(time.DateOnly, day)
	errs.Require(err == nil, "day", day, `must be a day such as "2027-01-10"`)
	errs.Require(err != nil || !from.Before(earliest), "day", day,
		"must be %s or later: a period that has begun, in UTC, must not change, and every replica must run with it before", earliest.Format(time.DateOnly))
	errs.Require(err != nil || day > last.From, "day", day, "must be after the period before it, %s", last.From)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return append(slices.Clone(schema), Period{From: day, Index: TSDB, Version: last.Version}), nil
}

// IndexNeededUntil is the day from which on no stored line needs the rows in DynamoDB: that on which its last period ends, and as long as
// logs are kept (the bucket's expiry), and two days for what is stored late. known is false where there is no such day: the last period is in
// DynamoDB, or logs are kept for ever (0). A schema without a dynamodb period needs no rows: the zero time, known.
func IndexNeededUntil(schema []Period, kept time.Duration) (day time.Time, known bool) {
	at := -1
	for i, period := range schema {
		if period.Index == DynamoDB {
			at = i
		}
	}
	if at < 0 {
		return time.Time{}, true
	}
	if at == len(schema)-1 || kept <= 0 {
		return time.Time{}, false
	}
	end, err := time.Parse(time.DateOnly, schema[at+1].From)
	if err != nil {
		return time.Time{}, false
	}
	return end.Add(kept + late + 24*time.Hour - time.Nanosecond).Truncate(24 * time.Hour), true
}

// UsesDynamoDB says whether some period has its index in DynamoDB: then there must be a table, and Loki is versions.LokiDynamoDB.
func (s Settings) UsesDynamoDB() bool { return s.uses(DynamoDB) }
