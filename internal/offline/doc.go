// Package offline runs a Pulumi program with the real engine and without a cloud: the real command line tool and the real
// pulumi-eks provider against doubles of the aws, kubernetes and random providers, in a directory that is thrown away. Nothing
// leaves the machine.
package offline
