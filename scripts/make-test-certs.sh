#!/usr/bin/env bash
# Makes a small certificate authority and certificates for trying Stele out. For real use, issue them from your own authority
# with the same subjectAltName URIs; Stele reads nothing else from a certificate.
#
#   scripts/make-test-certs.sh DIR --receiver NAME --agent SITE --operator SITE|'*'
#
# Each option may be given several times. Running it again in the same DIR adds to the same authority. Afterwards DIR holds
#   ca.pem  ca.key  ca.crl                       the authority and its (empty) revocation list
#   receiver-NAME.pem/.key  agent-SITE.pem/.key  operator-SITE.pem/.key  (operator-all for '*'); keys have mode 0600
# To revoke one:  cd DIR && openssl ca -config ca.cnf -revoke agent-SITE.pem && openssl ca -config ca.cnf -gencrl -out ca.crl
set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -ge 1 ] && [ "${1#-}" = "$1" ] || usage
dir=$1
shift
wanted=()
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --receiver) [[ $2 =~ ^[a-z0-9][a-z0-9._-]{0,63}$ ]] || { echo "receiver name '$2': 1 to 64 of a-z 0-9 . _ -" >&2; exit 2; }
      wanted+=("receiver:$2") ;;
    --agent) [[ $2 =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || { echo "site '$2': 1 to 32 of a-z 0-9 -" >&2; exit 2; }
      wanted+=("agent:$2") ;;
    --operator) [[ $2 == '*' || $2 =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || { echo "site '$2': 1 to 32 of a-z 0-9 -, or '*'" >&2; exit 2; }
      wanted+=("operator:$2") ;;
    *) usage ;;
  esac
  shift 2
done

umask 077
mkdir -p "$dir"
cd "$dir"
run() { local log; log=$("$@" 2>&1) || { echo "$log" >&2; exit 1; }; }

if [ ! -e ca.pem ]; then
  cat > ca.cnf <<'CNF'
[ca]
default_ca = stele
[stele]
database = index.txt
new_certs_dir = issued
serial = serial
crlnumber = crlnumber
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 365
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
CNF
  mkdir -p issued
  : > index.txt
  echo 1000 > serial
  echo 1000 > crlnumber
  run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 3650 -keyout ca.key -out ca.pem \
    -subj '/CN=Stele test authority' -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
  run openssl ca -config ca.cnf -gencrl -out ca.crl
fi

for one in "${wanted[@]}"; do
  role=${one%%:*}
  name=${one#*:}
  file=$role-${name/\*/all}
  if [ -e "$file.pem" ]; then
    echo "$dir/$file.pem is there already" >&2
    continue
  fi
  run openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -keyout "$file.key" -out "$file.csr" \
    -subj "/CN=stele $file" -addext "subjectAltName=URI:stele:$one"
  run openssl ca -batch -notext -config ca.cnf -in "$file.csr" -out "$file.pem"
  rm -f "$file.csr"
  echo "$dir/$file.pem  URI:stele:$one"
done
chmod 0600 ./*.key
chmod 0644 ./*.pem ca.crl
