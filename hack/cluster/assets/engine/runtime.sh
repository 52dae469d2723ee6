#!/bin/sh
# OCI runtime for a host whose own bounding set lacks capabilities: Docker asks for all of them in a privileged
# container's spec, and runc cannot grant what it does not have. Takes those named in $lacking out of the spec
# (config.json on create, the process file on exec), then hands over to runc.
lacking='@LACKING@'
bundle=. process=
expect=
for argument; do
  case $expect in
    bundle) bundle=$argument ;;
    process) process=$argument ;;
  esac
  expect=
  case $argument in
    -b | --bundle) expect=bundle ;;
    -p | --process) expect=process ;;
    --bundle=*) bundle=${argument#*=} ;;
    --process=*) process=${argument#*=} ;;
  esac
done
for spec in "$bundle/config.json" "$process"; do
  [ -f "$spec" ] || continue
  for capability in $lacking; do
    sed -i "s/\"$capability\",//g; s/,\"$capability\"//g" "$spec"
  done
done
exec runc "$@"
