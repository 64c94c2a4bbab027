package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	pauseImage       = "lab.local/pause:1"
	cniPlugins       = "/usr/lib/cni"
	containerdSocket = "/run/containerd/containerd.sock"
	dynaliteProgram  = "dynalite/server.js"
)

// taint and labels are those of the node groups on spot instances.
const (
	taintKey, taintValue, taintEffect = "spotInstance", "true", "NoSchedule"
	labels                            = "lifecycle=Ec2Spot,topology.kubernetes.io/zone=lab-a,node.kubernetes.io/instance-type=lab"
)

// daemon starts one of the binaries of the lab.
func (n *node) daemon(name string, args ...string) error {
	return n.supervisor.daemon(name, command(filepath.Join(n.Bin, name), args...))
}

func (n *node) pki(file string) string { return n.path("pki", file) }

// configure writes the files that daemons read.
func (n *node) configure() error {
	return errors.Join(
		n.writeContainerd(),
		writeJSON(n.path("etc", "cni", "10-lab.conflist"), map[string]any{
			"cniVersion": "1.0.0", "name": "lab",
			"plugins": []any{
				map[string]any{
					"type": "bridge", "bridge": bridgeName, "isGateway": true, "ipMasq": true, "hairpinMode": true,
					"ipam": map[string]any{
						"type": "host-local", "dataDir": "/run/cni", "ranges": []any{[]any{map[string]any{"subnet": podCIDR}}},
						"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
					},
				},
				map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
			},
		}),
		// Pods that ask for the node's resolver get none: nothing outside can be reached.
		os.WriteFile(n.path("etc", "pods-resolv.conf"), nil, 0o600),
		writeJSON(n.path("etc", "kubelet.json"), n.kubelet()),
		writeJSON(n.path("etc", "kube-proxy.json"), map[string]any{
			"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
			"clientConnection": map[string]any{"kubeconfig": n.pki("proxy.kubeconfig")},
			"mode":             "nftables", "clusterCIDR": clusterCIDR, "hostnameOverride": Name,
			// These sysctls are the machine's.
			"conntrack": map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
		}),
	)
}

// writeContainerd writes its configuration in version 2, which containerd 1.6 reads and 2.x still does. Without CAP_SYS_RESOURCE it must
// not lower OOM scores; and it is not to make /opt/containerd, for which there is no use.
func (n *node) writeContainerd() error {
	config := fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, n.path("containerd"), containerdSocket, pauseImage, cniPlugins, n.path("etc", "cni"))
	if err := os.MkdirAll(n.path("etc", "cni"), 0o700); err != nil {
		return fmt.Errorf("making a directory for configuration: %w", err)
	}
	if err := os.WriteFile(n.path("etc", "containerd.toml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("writing containerd's configuration: %w", err)
	}
	return nil
}

func (n *node) kubelet() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true},
			"x509": map[string]any{"clientCAFile": n.pki("ca.crt")},
		},
		"authorization":      map[string]any{"mode": "Webhook"},
		"tlsCertFile":        n.pki("kubelet-serving.crt"),
		"tlsPrivateKeyFile":  n.pki("kubelet-serving.key"),
		"registerWithTaints": []any{map[string]any{"key": taintKey, "value": taintValue, "effect": taintEffect}},
		"clusterDNS":         []string{dnsIP}, "clusterDomain": domain, "resolvConf": n.path("etc", "pods-resolv.conf"),
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"cgroupDriver":             "cgroupfs", "cgroupRoot": "/", "failCgroupV1": false,
		// It may not write the machine's sysctls, nor lower its own OOM score.
		"featureGates": map[string]any{"KubeletInUserNamespace": true},
		"oomScoreAdj":  0, "failSwapOn": false,
		// Images cannot be had again, so none is thrown away.
		"imageGCHighThresholdPercent": 100,
		"evictionHard":                map[string]any{"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
		"volumePluginDir":             n.path("etc", "volume-plugins"),
		"nodeStatusReportFrequency":   "10s",
	}
}

// startStores starts whatever waits for nothing.
func (n *node) startStores(context.Context) error {
	minio := command(filepath.Join(n.Bin, "minio"), "server", "--address="+storeAddress, "--console-address=127.0.0.1:9001", n.path("minio"))
	minio.Env = append(os.Environ(), "MINIO_ROOT_USER="+rootUser, "MINIO_ROOT_PASSWORD="+rootSecret, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
	return errors.Join(
		n.daemon("etcd", "--name=lab", "--data-dir="+n.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=lab=http://127.0.0.1:2380"),
		n.daemon("kube-apiserver", n.apiServer()...),
		n.supervisor.daemon("containerd", command("containerd", "--config", n.path("etc", "containerd.toml"))),
		n.supervisor.daemon("minio", minio),
		n.supervisor.daemon("dynalite", command(n.setup.Node, filepath.Join(n.Bin, dynaliteProgram), tableAddress, n.path("dynalite"))),
	)
}

func (n *node) apiServer() []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address=" + IP,
		"--service-cluster-ip-range=" + serviceCIDR, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", // kube-system and whoever labels a namespace so
		"--tls-cert-file=" + n.pki("apiserver.crt"), "--tls-private-key-file=" + n.pki("apiserver.key"), "--client-ca-file=" + n.pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc." + domain,
		"--service-account-key-file=" + n.pki("sa.pub"), "--service-account-signing-key-file=" + n.pki("sa.key"),
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-certificate-authority=" + n.pki("ca.crt"),
		"--kubelet-client-certificate=" + n.pki("apiserver-kubelet-client.crt"), "--kubelet-client-key=" + n.pki("apiserver-kubelet-client.key"),
		// Aggregated APIs (prometheus-adapter), by their pods' addresses.
		"--enable-aggregator-routing=true",
		"--requestheader-client-ca-file=" + n.pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + n.pki("front-proxy-client.crt"), "--proxy-client-key-file=" + n.pki("front-proxy-client.key"),
	}
}

func (n *node) startControllers() error {
	as := func(name string) []string {
		path := n.pki(name + ".kubeconfig")
		return []string{
			"--kubeconfig=" + path, "--authentication-kubeconfig=" + path, "--authorization-kubeconfig=" + path,
			"--leader-elect=false", "--bind-address=127.0.0.1",
		}
	}
	return errors.Join(
		n.daemon("kube-controller-manager", append(as("controller-manager"),
			"--kube-api-qps=200", "--kube-api-burst=400", // else its start takes 5 s longer
			"--use-service-account-credentials=true", "--service-account-private-key-file="+n.pki("sa.key"), "--root-ca-file="+n.pki("ca.crt"),
			"--cluster-signing-cert-file="+n.pki("ca.crt"), "--cluster-signing-key-file="+n.pki("ca.key"),
			"--flex-volume-plugin-dir="+n.path("etc", "volume-plugins"),
			"--allocate-node-cidrs=true", "--cluster-cidr="+clusterCIDR, "--service-cluster-ip-range="+serviceCIDR)...),
		n.daemon("kube-scheduler", as("scheduler")...),
	)
}

func (n *node) startKubelet() error {
	return n.daemon("kubelet", "--config="+n.path("etc", "kubelet.json"), "--kubeconfig="+n.pki("kubelet.kubeconfig"),
		"--hostname-override="+Name, "--node-ip="+IP, "--node-labels="+labels, "--v=2")
}

func (n *node) startProxy() error {
	return n.daemon("kube-proxy", "--config="+n.path("etc", "kube-proxy.json"))
}

func (n *node) ctr(args ...string) *exec.Cmd {
	return command("ctr", append([]string{"--address", containerdSocket, "--namespace", "k8s.io"}, args...)...)
}

func (n *node) containerdReady(ctx context.Context) error {
	return poll(ctx, 200*time.Millisecond, func(ctx context.Context) error { return n.supervisor.task(ctx, "ctr", n.ctr("version")) })
}

// importImages is a step. What containerd has from an earlier start, with the binary of today, it keeps.
func (n *node) importImages(images []Image) step {
	return step{fmt.Sprintf("%d images imported", len(images)), func(ctx context.Context) error {
		list := n.path("containerd", "imported.json")
		imported := map[string]string{}
		if content, err := readFile(list); err == nil {
			_ = json.Unmarshal(content, &imported) // if it was cut off, all are imported again
		}
		for _, image := range images {
			mark, err := image.mark(n.Bin)
			if err != nil {
				return err
			}
			if imported[image.Ref] == mark {
				continue
			}
			if err := n.importImage(ctx, image); err != nil {
				return err
			}
			imported[image.Ref] = mark
		}
		return writeJSON(list, imported)
	}}
}

// mark changes when the image does.
func (i Image) mark(bin string) (string, error) {
	info, err := os.Stat(filepath.Join(bin, i.Binary))
	if err != nil {
		return "", fmt.Errorf("looking at the binary of %s: %w", i.Ref, err)
	}
	return fmt.Sprintf("%s of %d bytes, %s", i.Entrypoint, info.Size(), info.ModTime().Format(time.RFC3339Nano)), nil
}

// importImage writes an archive into a pipe, so that it is nowhere on the disk.
func (n *node) importImage(ctx context.Context, image Image) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("opening a pipe: %w", err)
	}
	written := make(chan error, 1)
	go func() {
		written <- errors.Join(image.Archive(n.Bin, writer), writer.Close())
	}()
	ctr := n.ctr("images", "import", "-")
	ctr.Stdin = reader
	err = n.supervisor.task(ctx, "import", ctr)
	_ = reader.Close() // who still writes, stops
	if err = errors.Join(err, <-written); err != nil {
		return fmt.Errorf("importing %s: %w", image.Ref, err)
	}
	return nil
}

// poll until check succeeds. When the time is up, the error is the last one; when ctx ends otherwise, it is the cause.
func poll(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return fmt.Errorf("not in time: %w", err)
		case <-time.After(interval):
		}
	}
}
