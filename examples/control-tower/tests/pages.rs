//! The pages as whoever speaks HTTP meets them: what the browser is told, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use process::{Api, Tower};
use reqwest::{Method, Response};

async fn get(api: &Api, path: &str) -> Response {
    let request = api.client.get(format!("{}{path}", api.url)).header("accept", "text/html");
    request.send().await.unwrap()
}

/// A form as another site or a page of this one sends it.
async fn post(api: &Api, path: &str, site: Option<&str>, cookie: &str, form: &str) -> Response {
    let mut request = api.client.request(Method::POST, format!("{}{path}", api.url));
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    let form = form.to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
}

fn cookie(response: &Response) -> String {
    let cookies = response.headers().get_all("set-cookie");
    let of_login = cookies.iter().map(|value| value.to_str().unwrap()).find(|value| value.contains("keyward-login="));
    of_login.unwrap().split(';').next().unwrap().to_owned()
}

/// What the forms of a page carry.
fn form_token(page: &str) -> String {
    page.split("name=\"form-token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_is_of_its_reader_alone_and_loads_nothing_from_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let page = get(&tower.api, "/login").await;
    assert_eq!(page.status(), 200);
    let head = page.headers();
    assert_eq!(head["cache-control"], "no-store");
    assert!(head["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; style-src 'self';"));
    assert_eq!(head["x-content-type-options"], "nosniff");
    assert_eq!(head["x-frame-options"], "DENY");
    let cookie = head["set-cookie"].to_str().unwrap();
    for part in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let text = page.text().await.unwrap();
    for asset in text.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let asset = get(&tower.api, &format!("/assets/{asset}")).await;
        assert_eq!(asset.status(), 200);
        assert_eq!(asset.headers()["cache-control"], "public, max-age=31536000, immutable");
    }
    // Pages of a session lead to the login, and come back.
    for path in ["/", "/account", "/users"] {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let ca = std::fs::read(tower.line["ca-cert"].as_str().unwrap()).unwrap();
        let client = client.tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()]).build().unwrap();
        let away = client.get(format!("{}{path}", tower.api.url)).send().await.unwrap();
        assert_eq!(away.status(), 303, "{path}");
        assert_eq!(away.headers()["location"], format!("/login?next={}", path.replace('/', "%2F")).as_str());
    }
    // What is not there is a page for people, and the usual refusal for programs.
    let nothing = get(&tower.api, "/nothing").await;
    assert_eq!(
        (nothing.status().as_u16(), &nothing.headers()["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );
    let nothing = get(&tower.api, "/v1/nothing").await;
    assert_eq!(nothing.headers()["content-type"], "application/json");
    // So is what a page refuses before it is looked for: its query, its path, its method.
    for (path, status) in [("/cli?port=x", 400), ("/login/default/a%20b", 400), ("/logout", 405)] {
        let refused = get(&tower.api, path).await;
        let kind = refused.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!((refused.status().as_u16(), kind.as_str()), (status, "text/html; charset=utf-8"), "{path}");
        assert_eq!(refused.headers().contains_key("allow"), status == 405, "{path}");
    }
    let url = get(&tower.api, "/login/default/a%20b").await.text().await.unwrap();
    assert!(url.contains("what stands for the email address is not one"), "{url}");
    let for_programs = tower.api.client.get(format!("{}/nothing", tower.api.url)).send().await.unwrap();
    assert_eq!(for_programs.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn what_is_nobodys_address_is_refused_at_its_field_and_says_of_nobody_whether_they_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    for (email, tenant) in [("admin@", "default"), ("a b@example.com", ""), ("", ""), ("admin@", "nowhere")] {
        let page = get(&tower.api, "/login").await;
        let cookie = cookie(&page);
        let token = form_token(&page.text().await.unwrap());
        let identify = async |email: &str| {
            let email: String = email.replace('@', "%40").replace(' ', "+");
            let form = format!("form-token={token}&email={email}&tenant={tenant}");
            post(&tower.api, "/login/identify", Some("same-origin"), &cookie, &form).await
        };
        let refused = identify(email).await;
        assert_eq!(refused.status(), 400, "{email}");
        let text = refused.text().await.unwrap();
        let field = text.split("<input").find(|rest| rest.contains("name=\"email\"")).unwrap();
        for part in [&format!("value=\"{email}\""), "aria-describedby=\"field-email-error\"", " autofocus"] {
            assert!(field.contains(part), "{part}: {field}");
        }
        assert!(text.contains("is no email address: ") && text.contains(&format!("value=\"{tenant}\"")), "{text}");
        // It stands where it stood, and goes on to the same page for everybody.
        let somebody = identify(if tenant.is_empty() { "admin" } else { "nobody@example.com" }).await;
        assert_eq!((somebody.status().as_u16(), somebody.url().path()), (200, "/login"));
    }
}

#[tokio::test]
async fn what_is_no_name_of_a_tenant_is_refused_at_its_field_whoever_asks() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let mut told = Vec::new();
    // Somebody whom there is, and nobody; then tenants that could be, whether they are there or not, in whatever case.
    for (email, tenant) in [("admin", "nowhere"), ("nobody%40example.com", "+DEFAULT+")] {
        let page = get(&tower.api, "/login").await;
        let cookie = cookie(&page);
        let token = form_token(&page.text().await.unwrap());
        let identify = async |tenant: &str| {
            let form = format!("form-token={token}&email={email}&tenant={tenant}");
            post(&tower.api, "/login/identify", Some("same-origin"), &cookie, &form).await
        };
        let refused = identify("no+tenant").await;
        assert_eq!(refused.status(), 400, "{email}");
        let text = refused.text().await.unwrap();
        let field = text.split("<input").find(|rest| rest.contains("name=\"tenant\"")).unwrap();
        for part in ["value=\"no tenant\"", "aria-describedby=\"", "field-tenant-error", " autofocus"] {
            assert!(field.contains(part), "{part}: {field}");
        }
        assert!(text.contains("a name is lower-case letters") && !text.contains("field-email-error"), "{text}");
        told.push(field.split("</form>").next().unwrap().to_owned());
        let goes_on = identify(tenant).await;
        assert_eq!((goes_on.status().as_u16(), goes_on.url().path()), (200, "/login"), "{tenant}");
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn forms_of_elsewhere_are_refused_and_a_login_url_logs_nobody_in() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let page = get(&tower.api, "/login/default/admin").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers().get_all("set-cookie").iter().all(|value| !value.to_str().unwrap().contains("session")));
    let cookie = cookie(&page);
    let text = page.text().await.unwrap();
    let token = form_token(&text);
    let form = |token: &str| format!("form-token={token}&password=wrong+of+somebody");
    for (site, token, status) in [
        (Some("cross-site"), token.as_str(), 403),
        (Some("same-site"), token.as_str(), 403),
        (None, token.as_str(), 403),
        (Some("same-origin"), "x", 403),
        (Some("same-origin"), "", 403),
        (Some("same-origin"), token.as_str(), 401),
        // Each step has another cookie and another token.
        (Some("same-origin"), token.as_str(), 401),
    ] {
        let answer = post(&tower.api, "/login/password", site, &cookie, &form(token)).await;
        assert_eq!(answer.status(), status, "{site:?} {token}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    }
    let json = tower.api.client.post(format!("{}/login/password", tower.api.url)).body("{}").send().await.unwrap();
    assert_eq!(json.status(), 415);
    // What a form left behind as the address, opened again: no dead end.
    for (path, shown) in [("/login/password", "/login"), ("/account/password", "/login"), ("/users/lock", "/login")] {
        let page = get(&tower.api, path).await;
        assert_eq!((page.status().as_u16(), page.url().path()), (200, shown), "{path}");
    }
    // A link is only shown, whatever it is; opening it is a form of this site.
    assert_eq!(get(&tower.api, "/enrol/abc").await.status(), 200);
    assert_eq!(post(&tower.api, "/enrol/abc", Some("cross-site"), "", "").await.status(), 403);
    assert_eq!(post(&tower.api, "/enrol/abc", Some("same-origin"), "", "").await.status(), 401);
    assert_eq!(post(&tower.api, "/logout", Some("cross-site"), "", "").await.url().path(), "/login");
}
