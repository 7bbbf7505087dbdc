module claudescale.io/kit/runc-wrapper

go 1.26
