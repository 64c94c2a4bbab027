package tests

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/docs"
)

var securityPage = filepath.Join(project, "docs", "security.md")

// reasons say why a role has a statement or a managed policy, by its Sid or name; wildcards has those of statements with a "*".
var reasons = map[string]string{
	"Bucket":                             "finds objects; without it a missing one answers 403 in place of 404, and uploads fail",
	"Objects s3:GetObject":               "reads what the others have put there",
	"Objects s3:AbortMultipartUpload":    "puts what it has, and may give up an upload",
	"Objects s3:DeleteObject":            "joins blocks and puts them back, deletes what is joined or past its retention",
	"Index":                              "adds rows and queries them; Loki deletes none",
	"AmazonEKSWorkerNodePolicy":          "nodes join the cluster",
	"AmazonEC2ContainerRegistryPullOnly": "nodes pull images, AWS' own among them",
	"AmazonEKS_CNI_Policy":               "the network plugin gives pods addresses",
	"AmazonEBSCSIDriverPolicy":           "the driver makes, attaches and removes volumes",
	"AmazonEKSClusterPolicy":             "the control plane runs",
}

// TestRolesInDocs holds the table of roles in docs/security.md against the policies of stack prod. UPDATE_GOLDEN=1 rewrites it.
func TestRolesInDocs(t *testing.T) {
	t.Parallel()
	s := stateOf(t, "prod")
	type trusted struct{ name, by string }
	roles := map[string]trusted{} // by name in AWS
	for _, role := range s.ofType("aws:iam/role:Role") {
		one := trusted{name: role.URN.Name()}
		for _, statement := range policy(t, role.Inputs["assumeRolePolicy"]).Statement {
			for key, value := range statement.Condition["StringEquals"] {
				if strings.HasSuffix(key, ":sub") {
					one.by = "`" + strings.Replace(strings.TrimPrefix(fmt.Sprint(value), "system:serviceaccount:"), ":", "/", 1) + "`"
				}
			}
		}
		if one.by == "" {
			one.by = "AWS (EKS, EC2)"
		}
		roles[text(role.Outputs, "name")] = one
	}
	var rows []string
	row := func(role, actions, on, key string) {
		one, known := roles[role]
		require.True(t, known, role)
		why := reasons[key]
		if why == "" {
			why = strings.TrimPrefix(wildcards[key], "cluster-autoscaler: ")
		}
		require.NotEmpty(t, why, "%s: say in reasons why it has %s", one.name, key)
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |\n", one.name, one.by, actions, on, why))
	}
	for _, p := range s.ofType("aws:iam/rolePolicy:RolePolicy") {
		for _, statement := range policy(t, p.Inputs["policy"]).Statement {
			on := "`" + strings.Join(statement.Resource, "`, `") + "`"
			if len(statement.Condition) > 0 {
				on += ", with the cluster's tags"
			}
			key := statement.Sid
			if key == "Objects" {
				key += " " + statement.Action[len(statement.Action)-1]
			}
			row(text(p.Inputs, "role"), strings.Join(statement.Action, ", "), on, key)
		}
	}
	for _, a := range s.ofType("aws:iam/rolePolicyAttachment:RolePolicyAttachment") {
		arn := text(a.Inputs, "policyArn")
		key := arn[strings.LastIndex(arn, "/")+1:]
		row(text(a.Inputs, "role"), "AWS' policy "+key, "", key)
	}
	slices.Sort(rows)
	docs.Section(t, securityPage, "roles", "| role | taken by | may | on | why |\n| --- | --- | --- | --- | --- |\n"+strings.Join(rows, ""))
}

// TestRightsInDocs holds the table of rights in Kubernetes in docs/security.md against stack prod. UPDATE_GOLDEN=1 rewrites it.
func TestRightsInDocs(t *testing.T) {
	t.Parallel()
	s := stateOf(t, "prod")
	rules := map[string][]any{} // by "Kind namespace/name"
	for _, kind := range []string{"ClusterRole", "Role"} {
		for _, role := range s.ofType("kubernetes:rbac.authorization.k8s.io/v1:" + kind) {
			if role.Type != "" && string(role.Type) == "kubernetes:rbac.authorization.k8s.io/v1:"+kind {
				given, _ := at(role.Inputs, "rules").([]any)
				rules[kind+" "+text(role.Inputs, "metadata", "namespace")+"/"+text(role.Inputs, "metadata", "name")] = given
			}
		}
	}
	var rows []string
	for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
		for _, binding := range s.ofType("kubernetes:rbac.authorization.k8s.io/v1:" + kind) {
			namespace := text(binding.Inputs, "metadata", "namespace")
			of := text(binding.Inputs, "roleRef", "kind")
			role := of + " /" + text(binding.Inputs, "roleRef", "name")
			if of == "Role" {
				role = of + " " + namespace + "/" + text(binding.Inputs, "roleRef", "name")
			}
			where := "everywhere"
			if namespace != "" {
				where = "`" + namespace + "`"
			}
			given := rules[role]
			if given == nil { // Kubernetes' own
				given = []any{map[string]any{"resources": []any{"what `" + text(binding.Inputs, "roleRef", "name") + "` allows"}}}
			}
			for i := 0; at(binding.Inputs, "subjects", i) != nil; i++ {
				subject := at(binding.Inputs, "subjects", i)
				who := text(subject, "name")
				if text(subject, "namespace") != "" {
					who = text(subject, "namespace") + "/" + who
				}
				for _, rule := range given {
					on := list(rule, "resources") + list(rule, "nonResourceURLs")
					if group := strings.TrimSpace(list(rule, "apiGroups")); group != "" {
						on += " (" + group + ")"
					}
					if names := list(rule, "resourceNames"); names != "" {
						on += ", only " + names
					}
					rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", who, where, on, list(rule, "verbs")))
				}
			}
		}
	}
	require.NotEmpty(t, rows)
	slices.Sort(rows)
	docs.Section(t, securityPage, "rights",
		"| account | where | what | may |\n| --- | --- | --- | --- |\n"+strings.Join(slices.Compact(rows), ""))
}

// list shows a list of words.
func list(rule any, key string) string {
	given, _ := at(rule, key).([]any)
	var words []string
	for _, one := range given {
		words = append(words, strings.ReplaceAll(fmt.Sprint(one), "*", "all"))
	}
	return strings.Join(words, ", ")
}
