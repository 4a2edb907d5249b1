// A module of its own, so that users of package guard inherit the standard library alone.
module github.com/rolecall-auth/rolecall/guard/grpcguard

go 1.26.0

replace github.com/rolecall-auth/rolecall => ../../

require (
	github.com/rolecall-auth/rolecall v0.0.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1
)
