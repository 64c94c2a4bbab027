package loki

import (
	"fmt"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

func (p Period) key(i int) string { return fmt.Sprintf("schema[%d]", i) }

// Release says which Loki a schema needs: versions.LokiDynamoDB as soon as one period has its index in DynamoDB, else versions.LokiTSDB.
// A version that is asked for is taken where it can read all periods (TSDB works in both), and refused with the reason where it cannot;
// empty asks for none.
func Release(schema []Period, version string) (versions.Component, error) {
	var errs check.Errors
	release := choose(&errs, schema, version)
	return release, errs.Err()
}

func choose(errs *check.Errors, schema []Period, version string) versions.Component {
	old, current := versions.LokiDynamoDB, versions.LokiTSDB
	dynamodb := Settings{Schema: schema}.uses(DynamoDB)
	switch {
	case version == old.Version, version == "" && dynamodb:
		return old
	case !dynamodb && (version == "" || version == current.Version):
		return current
	case dynamodb:
		errs.Require(false, "version", version, "must be %s while a period has its index in dynamodb: from 3.6 on Loki does not sign its "+
			"requests to DynamoDB unless keys stand in the URL, reads only the first page of an answer, and crashes when a query fails; "+
			"later lines know no DynamoDB", old.Version)
	default:
		errs.Require(false, "version", version, "must be one of %s, %s", current.Version, old.Version)
	}
	return versions.Component{}
}

// Warning is what whoever runs this schema should know, in a sentence or two; empty if there is nothing.
func (s Settings) Warning() string {
	if !s.uses(DynamoDB) {
		return ""
	}
	old, current := versions.LokiDynamoDB.Version, versions.LokiTSDB.Version
	warning := fmt.Sprintf("Loki %s is the last that works with an index in DynamoDB, and gets no more fixes. ", old)
	last := s.Schema[len(s.Schema)-1]
	if last.Index == DynamoDB {
		warning += "To leave it, add a schema period with index tsdb from a day to come. "
	} else {
		warning += fmt.Sprintf("The index moves to TSDB on %s. ", last.From)
	}
	return warning + fmt.Sprintf("Once the last logs of the dynamodb periods have expired, remove these periods: Loki %s runs then.", current)
}
