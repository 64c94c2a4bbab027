package stack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	shownEvents = 40
	shownLines  = 30
)

// diagnose prints what a failure may come from: every pod with its state, the last events, the last log lines of each container that is
// not ready, of its run before too.
func diagnose(ctx context.Context, client kubernetes.Interface, out io.Writer) error {
	pods, err := client.CoreV1().Pods("").List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the pods: %w", err)
	}
	events, err := client.CoreV1().Events("").List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the events: %w", err)
	}
	var table strings.Builder
	for i := range pods.Items {
		pod := &pods.Items[i]
		fmt.Fprintf(&table, "  %s/%s\t%s\t%s\n", pod.Namespace, pod.Name, pod.Status.Phase, strings.Join(troubles(pod), "; "))
	}
	var text bytes.Buffer
	text.WriteString("\nPods:\n")
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	if _, err := aligned.Write([]byte(table.String())); err != nil {
		return fmt.Errorf("printing the pods: %w", err)
	}
	if err := aligned.Flush(); err != nil {
		return fmt.Errorf("printing the pods: %w", err)
	}
	text.WriteString("\nLast events:\n")
	for _, event := range lastEvents(events.Items) {
		object := event.InvolvedObject
		fmt.Fprintf(&text, "  %s  %s %s %s/%s: %s: %s (%d times)\n", when(event).Format(time.TimeOnly), event.Type, object.Kind, object.Namespace,
			object.Name, event.Reason, event.Message, max(event.Count, 1))
	}
	for i := range pods.Items {
		logs(ctx, client, &pods.Items[i], &text)
	}
	if _, err := text.WriteTo(out); err != nil {
		return fmt.Errorf("printing what the cluster looks like: %w", err)
	}
	return nil
}

// troubles are the reasons why a pod is not ready, and its restarts.
func troubles(pod *nativecorev1.Pod) []string {
	var found []string
	for _, c := range pod.Status.Conditions {
		if c.Type == nativecorev1.PodScheduled && c.Status != nativecorev1.ConditionTrue {
			found = append(found, c.Reason+": "+c.Message)
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if c.RestartCount > 0 {
			found = append(found, fmt.Sprintf("%s restarted %d times", c.Name, c.RestartCount))
		}
		if last := c.LastTerminationState.Terminated; last != nil {
			found = append(found, fmt.Sprintf("%s ended before: %s, exit code %d", c.Name, last.Reason, last.ExitCode))
		}
		switch s := c.State; {
		case s.Waiting != nil:
			found = append(found, fmt.Sprintf("%s waits: %s %s", c.Name, s.Waiting.Reason, s.Waiting.Message))
		case s.Terminated != nil && s.Terminated.ExitCode != 0:
			found = append(found, fmt.Sprintf("%s ended: %s, exit code %d", c.Name, s.Terminated.Reason, s.Terminated.ExitCode))
		case s.Running != nil && !c.Ready:
			found = append(found, c.Name+" runs and is not ready")
		}
	}
	return found
}

// when an event happened last.
func when(event nativecorev1.Event) time.Time {
	for _, at := range []time.Time{event.LastTimestamp.Time, event.EventTime.Time, event.FirstTimestamp.Time} {
		if !at.IsZero() {
			return at
		}
	}
	return event.CreationTimestamp.Time
}

// lastEvents leaves out what went well if there is too much.
func lastEvents(all []nativecorev1.Event) []nativecorev1.Event {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b nativecorev1.Event) int {
		warning := func(e nativecorev1.Event) int { return strings.Compare(e.Type, nativecorev1.EventTypeNormal) }
		return cmp.Or(cmp.Compare(warning(b), warning(a)), when(b).Compare(when(a)))
	})
	sorted = sorted[:min(len(sorted), shownEvents)]
	slices.SortStableFunc(sorted, func(a, b nativecorev1.Event) int { return when(a).Compare(when(b)) })
	return sorted
}

// logs adds the last lines of a pod's containers that are not ready.
func logs(ctx context.Context, client kubernetes.Interface, pod *nativecorev1.Pod, out *bytes.Buffer) {
	lines := int64(shownLines)
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if c.Ready || c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 {
			continue
		}
		for _, previous := range []bool{true, false} {
			if previous && c.RestartCount == 0 {
				continue
			}
			title := fmt.Sprintf("%s/%s %s", pod.Namespace, pod.Name, c.Name)
			if previous {
				title += ", the run before"
			}
			text, err := client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &nativecorev1.PodLogOptions{
				Container: c.Name, Previous: previous, TailLines: &lines,
			}).DoRaw(ctx)
			if err != nil {
				text = []byte(err.Error()) // there is none where nothing ran
			}
			if len(text) == 0 {
				text = []byte("(empty)")
			}
			fmt.Fprintf(out, "\nLog of %s:\n%s\n", title, strings.TrimRight(string(text), "\n"))
		}
	}
}
