# make-preload.sh CONTAINERD CTR WORK OUTPUT IMAGE ALIAS ARCHIVE... : fill a fresh store of containerd, pack it.
# Runs with mounts and processes of its own, so the sockets' folder and the daemon end with this script.
containerd=$1 ctr=$2 work=$3 output=$4 image=$5 alias=$6
shift 6
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p "$work/var/lib"
cat > /run/config.toml <<EOF
version = 3
root = "$work/var/lib/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
EOF
"$containerd" --config /run/config.toml > "$work/containerd.log" 2>&1 &
tries=0
until "$ctr" version > /run/version 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ]; then
    tail -n 5 "$work/containerd.log" /run/version
    exit 1
  fi
  sleep 0.1
done
for archive; do
  # Layers are needed unpacked only: half the size, and less to write at each start.
  "$ctr" --namespace k8s.io images import --discard-unpacked-layers --local "$archive"
done
"$ctr" --namespace k8s.io images tag "$image" "$alias"
kill "$!"
wait "$!" || true
rm -rf "$work/var/lib/containerd/tmpmounts"
tar --numeric-owner --xattrs --xattrs-include='*' -C "$work/var" -I lz4 -cf "$output" ./lib/containerd
