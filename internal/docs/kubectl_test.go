package docs_test

import (
	"fmt"
	"slices"
	"strings"
)

// kubectlFlags are those that the pages use: whether a value follows.
var kubectlFlags = map[string]bool{
	"-A": false, "--all": false, "--all-containers": false, "--all-namespaces": false, "--as": true, "--cascade": true, "--context": true,
	"--current": false, "--delete-emptydir-data": false, "--dry-run": true, "--field-selector": true, "--follow": false, "--for": true,
	"--force": false, "--force-conflicts": false, "--from": true, "--from-file": true, "--from-literal": true, "--grace-period": true, "--ignore-daemonsets": false,
	"--ignore-not-found": false, "--image": true, "--kubeconfig": true, "--labels": true, "--list": false, "--namespace": true, "--no-headers": false,
	"--output": true, "--overrides": true, "--overwrite": false, "--patch": true, "--pod-selector": true, "--prefix": false, "--previous": false,
	"--profile": true, "--quiet": false, "--raw": true, "--recursive": false, "--replicas": true, "--restart": true, "--rm": false,
	"--selector": true, "--server-side": false, "--show-labels": false, "--since": true, "--sort-by": true, "--subresource": true,
	"--tail": true, "--timeout": true, "--timestamps": false, "--type": true, "--wait": true, "--watch": false, "--containers": false,
	"-L": true, "-c": true, "-i": false, "-it": false, "-l": true, "-n": true, "-o": true, "-p": true, "-q": false, "-t": false, "-w": false,
}

// kinds are Kubernetes' own and those of the CRDs that the stack brings, by every name that kubectl takes.
var kinds = func() map[string]string {
	all := map[string]string{}
	for _, names := range []string{
		"pod po pods", "service svc services", "deployment deploy deployments", "statefulset sts statefulsets", "daemonset ds daemonsets",
		"replicaset rs replicasets", "job jobs", "cronjob cj cronjobs", "configmap cm configmaps", "secret secrets", "event ev events",
		"persistentvolumeclaim pvc persistentvolumeclaims", "serviceaccount sa serviceaccounts", "networkpolicy netpol networkpolicies",
		"poddisruptionbudget pdb poddisruptionbudgets", "ingress ing ingresses", "endpoints ep", "endpointslice endpointslices",
		"horizontalpodautoscaler hpa horizontalpodautoscalers", "role roles", "rolebinding rolebindings", "lease leases",
		"resourcequota quota resourcequotas", "limitrange limitranges", "controllerrevision controllerrevisions",
		"prometheus prom prometheuses", "alertmanager am alertmanagers", "prometheusrule promrule prometheusrules",
		"servicemonitor smon servicemonitors", "podmonitor pmon podmonitors", "alertmanagerconfig amcfg alertmanagerconfigs", "probe prb probes",
		"thanosruler thanosrulers", "scrapeconfig scfg scrapeconfigs", "prometheusagent promagent prometheusagents",
		"policyendpoint policyendpoints", "podmetrics",
		// of the whole cluster
		"node no nodes", "namespace ns namespaces", "persistentvolume pv persistentvolumes", "storageclass sc storageclasses",
		"customresourcedefinition crd crds customresourcedefinitions", "apiservice apiservices", "clusterrole clusterroles",
		"clusterrolebinding clusterrolebindings", "priorityclass pc priorityclasses", "certificatesigningrequest csr",
		"validatingwebhookconfiguration validatingwebhookconfigurations", "mutatingwebhookconfiguration mutatingwebhookconfigurations",
		"volumeattachment volumeattachments", "flowschema flowschemas", "prioritylevelconfiguration prioritylevelconfigurations", "csinode csinodes", "ingressclass ingressclasses", "all",
	} {
		one := strings.Fields(names)
		for _, name := range one {
			all[name] = one[0]
		}
	}
	return all
}()

// kubectl: the command, the flags and the kind are known, and an object in one of our namespaces is one that the program deploys.
func (h *held) kubectl(c command, words []string) error {
	var plain, files []string
	namespace, verb := "", ""
	for i := 1; i < len(words) && words[i] != "--"; i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") || word == "-" {
			if verb == "" {
				verb = word
			} else {
				plain = append(plain, word)
			}
			continue
		}
		flag, value, assigned := strings.Cut(word, "=")
		follows, known := kubectlFlags[flag]
		switch {
		case flag == "-f" && verb == "logs":
			continue
		case flag == "-f" || flag == "--filename" || flag == "-k":
			follows = true
		case !known:
			return fmt.Errorf("the test knows no flag %s of kubectl: add it to kubectlFlags in internal/docs/kubectl_test.go", flag)
		}
		if follows && !assigned && i+1 < len(words) {
			i++
			value = words[i]
		}
		switch flag {
		case "-n", "--namespace":
			namespace = value
		case "-f", "--filename", "-k":
			files = append(files, value)
		}
	}
	for _, file := range files {
		if file != "-" && !strings.HasPrefix(file, "https://") && !strings.HasPrefix(file, "out/") {
			if err := h.file(file); err != nil {
				return err
			}
		}
	}
	return h.kubectlObject(c, verb, namespace, plain)
}

func (h *held) kubectlObject(c command, verb, namespace string, plain []string) error {
	first, rest := "", []string(nil)
	if len(plain) > 0 {
		first, rest = plain[0], plain[1:]
	}
	switch verb {
	case "apply", "api-resources", "cluster-info", "config", "replace", "version", "kustomize", "cp", "diff":
		return nil
	case "auth":
		if first != "can-i" {
			return fmt.Errorf("kubectl auth has no command %q", first)
		}
		return nil
	case "cordon", "uncordon", "drain", "run", "debug", "taint":
		return nil
	case "create":
		return h.creates(c, namespace, plain)
	case "top":
		if first == "" {
			return nil
		}
		_, err := kindOf(first)
		return err
	case "rollout":
		if !slices.Contains([]string{"history", "pause", "restart", "resume", "status", "undo"}, first) {
			return fmt.Errorf("kubectl rollout has no command %q", first)
		}
		return h.named(c, namespace, "", rest)
	case "set":
		return h.named(c, namespace, "", rest)
	case "logs", "exec", "attach":
		if first == "" {
			return nil // by selector
		}
		return h.named(c, namespace, "pod", plain[:1])
	case "port-forward":
		if err := h.named(c, namespace, "pod", plain[:min(1, len(plain))]); err != nil {
			return err
		}
		kind, name, _ := strings.Cut(first, "/")
		if kinds[kind] != "service" || !ours(namespace) || len(rest) == 0 || h.own[c.page]["service "+namespace+"/"+name] {
			return nil
		}
		port := rest[0][strings.LastIndex(rest[0], ":")+1:]
		if !h.ports[name+" "+port] {
			return fmt.Errorf("service %s has no port %s", name, port)
		}
		return nil
	case "get", "describe", "delete", "edit", "patch", "label", "annotate", "scale", "wait", "explain", "expose":
		return h.named(c, namespace, "", plain)
	}
	return fmt.Errorf("kubectl has no command %q", verb)
}

// creates notes what a page makes.
func (h *held) creates(c command, namespace string, plain []string) error {
	if len(plain) == 0 {
		return nil // from a file
	}
	kind, err := kindOf(plain[0])
	if err != nil {
		return err
	}
	name := plain[len(plain)-1]
	h.own[c.page][fmt.Sprintf("%s %s/%s", kind, namespace, name)] = true
	return nil
}

func kindOf(word string) (string, error) {
	word, _, _ = strings.Cut(word, ".") // of a group
	if kind := kinds[strings.ToLower(word)]; kind != "" {
		return kind, nil
	}
	return "", fmt.Errorf("%q is no kind of object that the test knows", word)
}

// ours says whether the program makes what is in a namespace.
func ours(namespace string) bool { return namespace == "monitoring" || namespace == "monitoring-host" }

// named: "KIND NAME…", "KIND/NAME…", or names of a kind that needs no word.
func (h *held) named(c command, namespace, kind string, words []string) error {
	if len(words) == 0 {
		return nil
	}
	if kind == "" && !strings.Contains(words[0], "/") {
		for one := range strings.SplitSeq(words[0], ",") {
			var err error
			if kind, err = kindOf(one); err != nil {
				return err
			}
		}
		words = words[1:]
	}
	for _, word := range words {
		of, name, both := strings.Cut(word, "/")
		if !both {
			of, name = kind, word
		}
		found, err := kindOf(of)
		if err != nil {
			return err
		}
		object := fmt.Sprintf("%s %s/%s", found, namespace, name)
		if strings.ContainsAny(name, "=$<{*.") || strings.HasSuffix(name, "-") || !ours(namespace) {
			continue // a label, a variable, or of somebody else
		}
		if !h.objects[object] && !h.own[c.page][object] {
			return fmt.Errorf("there is no %s", object)
		}
	}
	return nil
}
