module grpctracing.dev/tools/nopython

go 1.26.0
