package infra

import (
	"regexp"
	"strconv"
	"strings"
)

// Capacity is what an instance has left for pods that somebody deploys.
type Capacity struct {
	MilliCPU  int
	MemoryMiB int
}

var capacityType = regexp.MustCompile(`^([a-z]+)\d+[a-z-]*\.(?:(\d*)x)?(medium|large)$`)

// gibPerVCPU of the families whose members all have the same; others are not known here.
var gibPerVCPU = map[string]int{"c": 2, "m": 4, "r": 8}

// Allocatable is what an EKS node of this instance type offers to pods, less what EKS runs on every node itself; false for a type that is
// not known here. Reservations follow EKS' AMI (255 MiB, and 11 MiB for each of the pods that its network interfaces allow; 6 % of the first
// core, 1 % of the second, 0.5 % of two more, 0.25 % of the rest; 100 MiB until eviction). 3 % of the memory are the kernel's, and
// vpc-cni, kube-proxy and the EBS driver take some 250m and 300 MiB (estimates).
func Allocatable(name string) (Capacity, bool) {
	parts := capacityType.FindStringSubmatch(name)
	if parts == nil {
		return Capacity{}, false
	}
	family, times, size := parts[1], parts[2], parts[3]
	cores, memory := 2, 0
	if strings.Contains(name, "x"+size) {
		cores = 4
		if n, err := strconv.Atoi(times); err == nil && times != "" {
			cores = 4 * n
		}
	}
	perCore, known := gibPerVCPU[family]
	switch {
	case family == "t" && size == "medium":
		memory = 4
	case family == "t":
		memory = 4 * cores
	case size == "medium" || !known:
		return Capacity{}, false
	default:
		memory = perCore * cores
	}
	pods := map[int]int{2: 29, 4: 58, 8: 58}[cores]
	if size == "medium" {
		pods = 17
	}
	if pods == 0 {
		pods = 234
	}
	reserved := 60 + 10 + max(min(cores-2, 2), 0)*5 + max(cores-4, 0)*5/2
	return Capacity{
		MilliCPU:  cores*1000 - reserved - 250,
		MemoryMiB: memory*1024*97/100 - 255 - 11*pods - 100 - 300,
	}, true
}
