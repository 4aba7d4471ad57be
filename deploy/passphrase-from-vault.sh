#!/bin/sh
# Prints the passphrase of a keystore from HashiCorp Vault (KV version 2):
#
#   AEGIS_PASSPHRASE_COMMAND=/etc/aegis/passphrase-from-vault.sh aegis keys serve
#
# VAULT_ADDR says where the vault is. The token is one that may read this one path, e.g. written by
# `vault agent`; it is read from a file and never an argument, which every user could see.
set -eu
VAULT_TOKEN=$(cat "${VAULT_TOKEN_FILE:-/run/aegis-signer/vault-token}")
export VAULT_TOKEN
exec vault kv get -field=passphrase "${AEGIS_VAULT_PATH:-secret/aegis/signer}"
