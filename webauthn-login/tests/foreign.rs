//! Authenticators that others wrote register and log in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::*;
use keyward_webauthn_login::*;
use serde_json::Value;
use url::Url;

/// What is asked of a browser with an authenticator.
enum Ask<'a> {
    Create(&'a Value),
    Get(&'a Value),
}

fn registers_and_logs_in(mut browser: impl FnMut(Ask<'_>) -> String, discoverable: bool) {
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    let options = world.set_up(Method::Passkey).page()["options"].clone();
    let page = world.register(&browser(Ask::Create(&options)), "x");
    assert_eq!(world.refused, None);
    world.passkey(&browser(Ask::Get(&page.page()["passkey"]))).logged_in();
    for _ in 0..2 {
        world.now += 60;
        world.begin(Start::browser());
        // Its own passkey is found among the decoys.
        let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
        let logged_in = world.passkey(&browser(Ask::Get(&options))).logged_in();
        assert_eq!(logged_in.session.proofs(), &[Proof::Passkey].into());
    }
    if discoverable {
        let options = world.begin(Start::browser()).page()["autofill"].clone();
        world.passkey(&browser(Ask::Get(&options))).logged_in();
    }
}

mod one_password {
    use super::*;
    use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
    use passkey::client::{Client, DefaultClientData};
    use passkey::crypto::rust_crypto::RustCryptoBackend;
    use passkey::types::Passkey;
    use passkey::types::ctap2::{Aaguid, Ctap2Error};
    use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};

    /// The crate writes bytes as arrays of numbers, `toJSON()` as base64url.
    fn to_json(credential: &impl serde::Serialize) -> String {
        fn bytes(value: &mut Value) {
            match value {
                Value::Object(members) => members.values_mut().for_each(bytes),
                Value::Array(items) if items.first().is_some_and(Value::is_u64) => {
                    use base64::Engine as _;
                    let raw: Vec<u8> = items.iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
                    *value = Value::from(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw));
                }
                _ => {}
            }
        }
        let mut value = serde_json::to_value(credential).unwrap();
        bytes(&mut value);
        value.to_string()
    }

    struct Present;

    #[async_trait::async_trait]
    impl UserValidationMethod for Present {
        type PasskeyItem = Passkey;

        async fn check_user<'a>(
            &self,
            _hint: UiHint<'a, Passkey>,
            _presence: bool,
            _verification: bool,
        ) -> Result<UserCheck, Ctap2Error> {
            Ok(UserCheck { presence: true, verification: true })
        }

        fn is_verification_enabled(&self) -> Option<bool> {
            Some(true)
        }

        fn is_presence_enabled(&self) -> bool {
            true
        }
    }

    #[test]
    fn its_discoverable_passkeys() {
        let store: Option<Passkey> = None;
        let authenticator = Authenticator::new(Aaguid::new_empty(), store, Present, RustCryptoBackend);
        let mut client = Client::new(authenticator);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let origin = Url::parse(ORIGIN).unwrap();
        registers_and_logs_in(
            |ask| match ask {
                Ask::Create(options) => {
                    let options: CredentialCreationOptions = serde_json::from_value(options.clone()).unwrap();
                    let made = runtime.block_on(client.register(&origin, options, DefaultClientData)).unwrap();
                    to_json(&made)
                }
                Ask::Get(options) => {
                    let options: CredentialRequestOptions = serde_json::from_value(options.clone()).unwrap();
                    let answer = runtime.block_on(client.authenticate(&origin, options, DefaultClientData)).unwrap();
                    to_json(&answer)
                }
            },
            true,
        );
    }
}

mod kanidm {
    use super::*;
    use webauthn_authenticator_rs::WebauthnAuthenticator;
    use webauthn_authenticator_rs::softpasskey::SoftPasskey;

    #[test]
    fn its_passkeys_that_are_not_discoverable() {
        let mut authenticator = SoftPasskey::new(true);
        let origin = Url::parse(ORIGIN).unwrap();
        registers_and_logs_in(
            |ask| match ask {
                Ask::Create(options) => {
                    let options = serde_json::from_value(options.clone()).unwrap();
                    let made = authenticator.do_registration(origin.clone(), options).unwrap();
                    serde_json::to_string(&made).unwrap()
                }
                Ask::Get(options) => {
                    let options = serde_json::from_value(options.clone()).unwrap();
                    let answer = authenticator.do_authentication(origin.clone(), options).unwrap();
                    serde_json::to_string(&answer).unwrap()
                }
            },
            false,
        );
    }
}
