# Runs inside the node's root file system: what minikube's Dockerfile does there, for Debian and containerd alone.
set -eu
units=/lib/systemd/system
find $units/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f $units/multi-user.target.wants/* /etc/systemd/system/*.wants/* $units/local-fs.target.wants/*
rm -f $units/sockets.target.wants/*udev* $units/sockets.target.wants/*initctl* $units/basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf "$(command -v systemd || echo /lib/systemd/systemd)" /sbin/init
sed -i -E 's/^(hosts:\s*).*/\1files dns/' /etc/nsswitch.conf
cat >> /etc/ssh/sshd_config <<EOF
PubkeyAcceptedAlgorithms +ssh-rsa
HostkeyAlgorithms +ssh-rsa
PubkeyAuthentication yes
PasswordAuthentication no
UseDNS no
EOF
systemctl mask systemd-binfmt.service
systemctl enable ssh.service
systemctl disable containerd.service
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf /usr/lib/systemd/system/minikube-automount.service /etc/systemd/system/multi-user.target.wants/
groupadd -f docker
useradd -m -s /bin/bash -g docker -G sudo docker
usermod -p '*' docker
passwd -d docker
echo '%sudo ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/20-passwordless-sudo
chmod 0440 /etc/sudoers.d/20-passwordless-sudo
install -d -o docker -g docker -m 755 /home/docker/.ssh
mkdir -p /kind /var/lib/minikube /run/sshd /etc/cni/net.d /etc/kubernetes/manifests
[ -e /etc/ssh/ssh_host_rsa_key ] || ssh-keygen -A
echo '{"iso_version":"v1.38.1","kicbase_version":"claudescale-kit","minikube_version":"v1.38.1","commit":"claudescale-kit"}' > /version.json
echo 'kic! Build: claudescale-kit' > /kic.txt
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
