//! The flags and their help, which teaches by example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
The first five minutes:
  (umask 077; control-tower --output json > tower.json)    in one terminal; then in another
  supctl login --bootstrap tower.json              log in with the one-time password printed there
  supctl bulk -f examples/aws-federation.yaml      a signing key, the SPIFFE settings, an AppRole
  supctl show state/strongbox/transit-keys/spiffe-jwt
  supctl do strongbox/aws-trust-policy role=payments account=123456789012

Every day:
  supctl --tower https://tower.example.com --ca ca.pem login --username ops@example.com
  supctl show strongbox/policies                   what is configured
  supctl show strongbox/policies/ops -o yaml > ops.yaml
  supctl replace strongbox/policies/ops -f ops.yaml
  supctl merge strongbox/transit-keys/spiffe-jwt auto-rotate.rotate-after=60d --validate
  supctl do strongbox/authentication/approles/payments/generate-secret-id ttl=1h num-uses=1

Environment:
  KEYWARD_TOWER   URL of the tower, as --tower
  KEYWARD_CA      CA of the tower: a file, as --ca, or the PEM text itself
  KEYWARD_TOKEN   a token, instead of the one saved by `supctl login`
  NO_COLOR        no colours (there are none when the output is not a terminal)

Exit codes:
  0 done   1 refused by the tower   2 usage, or a file that cannot be used   3 tower unreachable

Data goes to standard output, everything else to standard error.";

/// The operator's command line for a control tower
#[derive(Debug, Parser)]
#[command(name = "supctl", version, arg_required_else_help = true, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// URL of the tower; by default the one of the last login, else https://localhost:4646
    #[arg(long, global = true, value_name = "URL", env = "KEYWARD_TOWER", hide_env = true)]
    pub(crate) tower: Option<String>,

    /// CA that signed the tower's certificate (PEM); then nothing else is trusted. By default the one of the last
    /// login, else the CAs that this machine trusts
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_CA", hide_env = true)]
    pub(crate) ca: Option<String>,

    /// How data is shown
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For scripts
    Json,
    /// What `-f` reads back
    Yaml,
    /// For people
    Table,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in and save the token for later commands
    Login(Login),
    /// Revoke the saved token and forget it; tower and CA stay the defaults
    Logout,
    /// Show configuration, or state
    Show(Show),
    /// Create a document; refused when it exists
    Create(Edit),
    /// Replace a document, or create it
    Replace(Edit),
    /// Change the given fields of a document and leave the others
    Merge(Edit),
    /// Delete a document
    Delete(Delete),
    /// Apply a file of documents: all of them or none
    Bulk(Bulk),
    /// Call an operation of the tower
    Do(Do),
    /// Open a tower that started sealed, or was sealed
    Unseal(Unseal),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The password is asked for without echo; when standard input is not a terminal, its first line is
the password. It is never taken from the command line, where every user of the machine could read it.

Examples:
  supctl login                            in the browser, by whatever the user logs in with there
  supctl login --browser --no-open        the same, printing the address
  supctl login --username ops@example.com
  supctl login --username ops@example.com --password-file /run/secrets/ops
  pass tower/ops | supctl login --username ops@example.com
  supctl login --bootstrap tower.json     what `control-tower --output json` printed at its first start

What is saved (tower, CA, tenant, token, expiry) is in keyward/supctl.json of the user's configuration
directory, readable by the user alone; the tower and the CA are the defaults of later commands.")]
pub(crate) struct Login {
    /// Tenant to log in to; by default the one of the last login there, else the tower's own choice
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// Who logs in, usually an email address; asked for when not given
    #[arg(long, value_name = "USERNAME")]
    pub(crate) username: Option<String>,

    /// Read the password from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Also ask for a one-time password, or a recovery code; when standard input is not a terminal, its next line
    #[arg(long)]
    pub(crate) otp: bool,

    /// Log in with the browser of this machine: the tower's page asks there whether the command line may. What happens by itself
    /// where somebody sits at a terminal and names nobody
    #[arg(long, conflicts_with_all = ["username", "password_file", "otp", "tenant"])]
    pub(crate) browser: bool,

    /// With --browser: only print the address to be opened
    #[arg(long, requires = "browser")]
    pub(crate) no_open: bool,

    /// Take everything from the line of JSON that the tower printed at its first start (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "username", "password_file", "otp", "browser"])]
    pub(crate) bootstrap: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  supctl show strongbox/transit-keys                     the names in a collection
  supctl show strongbox/transit-keys/spiffe-jwt -o yaml  one document
  supctl show state/strongbox/transit-keys/spiffe-jwt    state: versions, phases and their times
  supctl show state/strongbox/authentication/spiffe-settings
  supctl show 'state/audit?limit=20'
  supctl show '/v1/get-spiffe-jwks?tenant=default'       any path of the API")]
pub(crate) struct Show {
    /// Path in the configuration; `state/…` for state; `/v1/…` for any path of the API
    #[arg(value_name = "PATH")]
    pub(crate) path: String,

    /// Also print the revision (to standard error), which `--if-match` takes
    #[arg(long)]
    pub(crate) revision: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The body is a file (YAML or JSON), fields on the command line, or both: fields then win.
  a=text   a.b=text   a=[x,y]   a='{\"b\": 1}'   a=true   a=12   a='\"12\"' (text)
  a=@FILE  the text of a file (`-`: standard input)

Examples:
  supctl create strongbox/transit-keys/spiffe-jwt cipher=rsa-2048 auto-rotate.rotate-after=30d
  supctl replace strongbox/authentication/approles/payments -f payments.yaml
  supctl merge strongbox/authentication/approles/payments token-policies=[ops,dev]
  supctl merge strongbox/transit-keys/spiffe-jwt auto-rotate.rotate-after=60d --validate")]
pub(crate) struct Edit {
    /// Path of the document in the configuration
    #[arg(value_name = "PATH")]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) body: Body,

    /// Check only: the same errors, for keys the timeline, and nothing is changed
    #[arg(long)]
    pub(crate) validate: bool,

    /// Refuse when the document is no longer at this revision (see `show --revision`)
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_match: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Body {
    /// YAML or JSON to read the body from (`-`: standard input)
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Fields of the body
    #[arg(value_name = "FIELD=VALUE")]
    pub(crate) fields: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Path of the document in the configuration
    #[arg(value_name = "PATH")]
    pub(crate) path: String,

    /// Check only, and change nothing
    #[arg(long)]
    pub(crate) validate: bool,

    /// Remove a tenant with everything that it has
    #[arg(long)]
    pub(crate) force: bool,

    /// Refuse when the document is no longer at this revision (see `show --revision`)
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_match: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Documents are separated by `---`; each names its place and what to do there:
  x-path: /v1/config/strongbox/transit-keys/spiffe-jwt
  x-operation: replace          create | replace | merge | delete
  name: spiffe-jwt
  cipher: rsa-2048

Examples:
  supctl bulk -f examples/aws-federation.yaml --validate
  supctl bulk -f examples/aws-federation.yaml
  cat *.yaml | supctl bulk -f -")]
pub(crate) struct Bulk {
    /// YAML file of documents (`-`: standard input)
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub(crate) file: PathBuf,

    /// Check only: the same errors, for keys the timeline, and nothing is changed
    #[arg(long)]
    pub(crate) validate: bool,

    /// Remove the tenants that the file deletes with everything that they have
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Fields as in `supctl create --help`. Secrets are not taken from the command line, where every user
of the machine could read them: use FIELD=@FILE, FIELD=@- (standard input), or -f.

Examples:
  supctl do strongbox/aws-trust-policy role=payments account=123456789012   what to paste at AWS
  supctl do strongbox/transit-keys/spiffe-jwt/rotate
  supctl do strongbox/transit-keys/records/encrypt plaintext=aGVsbG8=
  supctl do strongbox/authentication/approles/payments/generate-secret-id ttl=1h num-uses=1 -o json
  supctl do strongbox/authentication/approles/payments/lookup-secret-id secret-id=@secret-id.txt
  supctl do strongbox/policies/explain subject=approle/payments operation=read path=/v1/config/variables/region
  supctl do strongbox/policies/who-may operation=execute path=/v1/state/strongbox/transit-keys/records/sign
  supctl do strongbox/check-issuer
  supctl do --get audit limit=20")]
pub(crate) struct Do {
    /// Path of the operation under `/v1/state/`; `/v1/…` for any path of the API
    #[arg(value_name = "PATH")]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) body: Body,

    /// GET instead of POST; the fields become the query
    #[arg(long, conflicts_with = "file")]
    pub(crate) get: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The passphrase is asked for without echo; when standard input is not a terminal, its first line is the
passphrase. Where the tower's seal is a key file or a credential, it is the key in it (64 hex digits).

Examples:
  supctl unseal
  pass tower/seal | supctl --tower https://tower.example.com --ca ca.pem unseal
  supctl do system/seal/seal               seals it again
  supctl do system/seal/rotate             a new key-encryption key; every record follows by itself
  supctl show state/system/seal            how far that is")]
pub(crate) struct Unseal {
    /// Read the passphrase from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(supctl completions bash)
  supctl completions zsh > ~/.zfunc/_supctl
  supctl completions fish > ~/.config/fish/completions/supctl.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = Cli::parse_from(["supctl", "show", "strongbox/policies", "-o", "yaml", "--tower", "https://a:1"]);
        assert_eq!(cli.output, Format::Yaml);
        assert_eq!(cli.tower.as_deref(), Some("https://a:1"));
    }

    #[test]
    fn no_flag_takes_a_password_or_a_token() {
        for secret in ["--password", "--token", "--secret-id"] {
            assert!(Cli::try_parse_from(["supctl", "login", secret, "x"]).is_err(), "{secret}");
        }
        // Abbreviations are off: `--password` is not understood as `--password-file`.
    }
}
