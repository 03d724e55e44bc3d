"""Keys as text, and back."""

from .values import b64


def script(run):
    s = run.step
    s("create for a backup", lambda t, y: t.create_key("kept", exportable=True, allow_plaintext_backup=True))
    s("rotate for a backup", lambda t, y: t.rotate_key("kept"))
    s("encrypt for a backup", lambda t, y: t.encrypt_data("kept", plaintext=b64("hello"), key_version=1))
    text = run.data("encrypt for a backup", "ciphertext")
    s("back up", lambda t, y: t.backup_key("kept"))
    backup = run.data("back up", "backup")
    s("a key tells of its backup", lambda t, y: {"is": "backup_info" in t.read_key("kept")["data"]})
    s("back up what is kept", lambda t, y: t.backup_key("derived"))
    s("back up none", lambda t, y: t.backup_key("none"))
    s("restore what exists", lambda t, y: t.restore_key(backup))
    s("restore it elsewhere", lambda t, y: t.restore_key(backup, name="kept-too"))
    s("read what is restored", lambda t, y: {"latest": t.read_key("kept-too")["data"]["latest_version"], "name": t.read_key("kept-too")["data"]["name"]})
    s("a key tells of its restore", lambda t, y: {"is": "restore_info" in t.read_key("kept-too")["data"]})
    s("decrypt with what is restored", lambda t, y: t.decrypt_data("kept-too", ciphertext=text))
    s("restore it there again", lambda t, y: t.restore_key(backup, name="kept-too"))
    s("rotate what is restored", lambda t, y: t.rotate_key("kept-too"))
    s("restore by force", lambda t, y: t.restore_key(backup, name="kept-too", force=True))
    s("read what is restored by force", lambda t, y: {"latest": t.read_key("kept-too")["data"]["latest_version"]})
    s("allow deletion for a restore", lambda t, y: t.update_key_configuration("kept", deletion_allowed=True))
    s("delete for a restore", lambda t, y: t.delete_key("kept"))
    s("restore what is deleted", lambda t, y: t.restore_key(backup))
    s("decrypt with what was deleted", lambda t, y: t.decrypt_data("kept", ciphertext=text))
    s("restore nothing", lambda t, y: t.restore_key(""))
    s("restore no backup", lambda t, y: t.restore_key(b64("no JSON"), name="bad"))
    s("restore no base64", lambda t, y: t.restore_key("!", name="bad"))
