# The start file of `udplab on`: the user's own, and a prompt that names the host.
if [ -r ~/.bashrc ]; then . ~/.bashrc; fi
PS1='\h:\w\$ '
tcpdump() { command tcpdump -Z root "$@"; } # it would become a user of that name, and a host has one user: root
