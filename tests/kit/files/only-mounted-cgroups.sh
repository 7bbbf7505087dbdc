only_mounted_cgroups() {
  {
    head -n 1 /proc/cgroups
    while read -r name rest; do
      if [[ -e "/sys/fs/cgroup/${name}/tasks" ]]; then printf '%s\t%s\n' "${name}" "${rest}"; fi
    done < <(tail -n +2 /proc/cgroups)
  } > /kind/proc-cgroups
  mount --bind /kind/proc-cgroups /proc/cgroups
}
