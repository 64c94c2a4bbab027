package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
)

// policy is an IAM policy.
type policy struct {
	Version   string
	Statement []statement
}

// statement of a policy, with the fields that the program uses.
type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]any `json:",omitempty"`
}

// Credential is what a workload logs in with at the store.
type Credential struct {
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

// Policies are what Render found, by workload: IAM policies as a store takes them.
func Policies(dir string) (map[string]json.RawMessage, error) {
	var read map[string]json.RawMessage
	err := readJSON(dir, PoliciesFile, &read)
	return read, err
}

// workloads are the keys of those that reach a bucket.
func workloads() []string {
	var keys []string
	for _, workload := range (monitoring.Settings{Loki: &loki.Settings{}}).Workloads() {
		if workload.Blocks != "" || workload.Chunks != "" {
			keys = append(keys, workload.Key)
		}
	}
	return keys
}

// policies are the S3 statements of the roles' own policies, by workload. What is granted besides (the index table) is left out, since the
// store behind S3 does not know it.
func policies(resources []apitype.ResourceV3, workloads []string) (map[string]policy, error) {
	found := map[string]policy{}
	for _, one := range resources {
		if one.Type != "aws:iam/rolePolicy:RolePolicy" || one.Parent.Type() != "kansoku:infra:WorkloadRole" {
			continue
		}
		workload := one.Parent.Name()
		text, _ := one.Inputs["policy"].(string)
		granted, err := onlyS3(text)
		if err != nil {
			return nil, fmt.Errorf("policy of workload %s: %w", workload, err)
		}
		if len(granted.Statement) == 0 {
			continue
		}
		if _, twice := found[workload]; twice {
			return nil, fmt.Errorf("policy of workload %s: there are two", workload)
		}
		found[workload] = granted
	}
	var errs []error
	for _, workload := range workloads {
		if _, ok := found[workload]; !ok {
			errs = append(errs, fmt.Errorf("workload %s reaches a bucket and has no policy for it", workload))
		}
	}
	for _, workload := range slices.Sorted(maps.Keys(found)) {
		if !slices.Contains(workloads, workload) {
			errs = append(errs, fmt.Errorf("workload %s has a policy for a bucket and is not known to reach one", workload))
		}
	}
	return found, errors.Join(errs...)
}

// onlyS3 reads a policy and keeps the statements about S3.
func onlyS3(text string) (policy, error) {
	var read policy
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields() // a field that is lost on the way would change what the policy allows
	if err := decoder.Decode(&read); err != nil {
		return policy{}, fmt.Errorf("reading it: %w", err)
	}
	kept := read.Statement[:0]
	for _, one := range read.Statement {
		var s3, others []string
		for _, action := range one.Action {
			if strings.HasPrefix(action, "s3:") {
				s3 = append(s3, action)
			} else {
				others = append(others, action)
			}
		}
		if len(s3) > 0 && len(others) > 0 {
			return policy{}, fmt.Errorf("statement %s mixes services: %s", one.Sid, strings.Join(one.Action, ", "))
		}
		if len(s3) > 0 {
			kept = append(kept, one)
		}
	}
	read.Statement = kept
	return read, nil
}
