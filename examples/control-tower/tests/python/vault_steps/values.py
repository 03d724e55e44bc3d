"""How values are written, and what of an answer is compared."""

import base64

# Fields that only one of them knows, or whose values say nothing about what was asked.
IGNORED = {
    "request_id", "server_time_utc", "version", "cluster_name", "cluster_id", "accessor", "uuid", "description", "config", "options",
    "plugin_version", "running_plugin_version", "running_sha256", "deprecation_status", "seal_wrap", "performance_standby",
    "commit_date", "build_date", "storage_type", "convergent_encryption_version", "lease_id", "warnings", "wrap_info",
    # When a key was backed up and restored, which the audit log says here.
    "backup_info", "restore_info",
}


def shape(value, key=None):
    if key == "exact":
        return value
    if isinstance(value, dict):
        return {name: shape(item, name) for name, item in sorted(value.items()) if name not in IGNORED}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        if key in ("name", "type", "kdf", "reference", "plaintext", "sum"):
            return value
        if value.startswith("vault:v"):
            return value.split(":")[1]
        return "text" if value else ""
    if isinstance(value, int) and not isinstance(value, bool) and value > 1_000_000:
        return "time"
    if key == "ttl" and isinstance(value, int):
        return -(-value // 10) * 10  # what is left: a second may have passed
    return value


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
