module desist.dev/hack/scratch

go 1.26
