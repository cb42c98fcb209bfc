//! Each snippet of the manuals of Play, Revel and Buffalo, and what its page promises of it.

use axum::{
    Form, Json, Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use session_axum::{Error, Flash, Session, SessionLayer, SessionResponseExt, testing::TestSession};

use crate::support::app::{client, layer};

/// Play: Session and Flash scopes.
mod play {
    use super::*;

    async fn index(session: Session) -> Result<impl IntoResponse, Error> {
        Ok(session.get::<String>("connected")?.map_or_else(
            || (StatusCode::UNAUTHORIZED, "Oops, you are not connected").into_response(),
            |user| format!("Hello {user}").into_response(),
        ))
    }

    async fn welcome() -> impl IntoResponse {
        "Welcome!".with_session([("connected", "user@gmail.com")])
    }

    fn app(layer: &SessionLayer) -> Router {
        Router::new().route("/", get(index)).route("/welcome", get(welcome)).layer(layer.clone())
    }

    #[tokio::test]
    async fn reading_a_session_value() {
        let client = client(app(&layer()));
        let stranger = client.get("/").await;
        assert_eq!(
            (stranger.status(), stranger.text().as_str()),
            (StatusCode::UNAUTHORIZED, "Oops, you are not connected")
        );
        client.get("/welcome").await;
        assert_eq!(client.get("/").await.text(), "Hello user@gmail.com");
    }

    #[tokio::test]
    async fn storing_data_in_the_session_replaces_the_whole_session() {
        let layer = layer();
        let client = client(app(&layer));
        let before = TestSession::new(&layer).insert("theme", "dark").insert("connected", "other@example.com");
        client.enter(&before);
        assert_eq!(client.get("/welcome").await.text(), "Welcome!");
        let after = TestSession::of_client(&layer, &client);
        assert_eq!(after.keys(), ["connected"]);
        assert_eq!(after.get::<String>("connected").unwrap(), "user@gmail.com");
        assert_ne!(after.id(), before.id());
    }

    #[tokio::test]
    async fn adding_an_element_to_an_existing_session() {
        async fn by_helper() -> impl IntoResponse {
            "Hello World!".adding_to_session([("saidHello", "yes")])
        }
        async fn by_handle(session: Session) -> Result<impl IntoResponse, Error> {
            session.insert("saidHello", "yes")?;
            Ok("Hello World!".with_session(session))
        }
        let layer = layer();
        let app = Router::new().route("/a", get(by_helper)).route("/b", get(by_handle)).layer(layer.clone());
        for path in ["/a", "/b"] {
            let client = client(app.clone());
            let before = TestSession::new(&layer).insert("connected", "user@gmail.com");
            client.enter(&before);
            assert_eq!(client.get(path).await.text(), "Hello World!");
            let after = TestSession::of_client(&layer, &client);
            assert_eq!(after.keys(), ["connected", "saidHello"], "{path}");
            assert_eq!(after.id(), before.id(), "{path}");
        }
    }

    #[tokio::test]
    async fn removing_a_value_from_the_session() {
        async fn by_helper() -> impl IntoResponse {
            "Theme reset!".removing_from_session(["theme"])
        }
        async fn by_handle(session: Session) -> impl IntoResponse {
            session.remove("theme");
            "Theme reset!".with_session(&session)
        }
        let layer = layer();
        let app = Router::new().route("/a", get(by_helper)).route("/b", get(by_handle)).layer(layer.clone());
        for path in ["/a", "/b"] {
            let client = client(app.clone());
            client.enter(&TestSession::new(&layer).insert("connected", "user@gmail.com").insert("theme", "dark"));
            assert_eq!(client.get(path).await.text(), "Theme reset!");
            assert_eq!(TestSession::of_client(&layer, &client).keys(), ["connected"], "{path}");
        }
    }

    #[tokio::test]
    async fn discarding_the_whole_session() {
        async fn bye() -> impl IntoResponse {
            "Bye".with_new_session()
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(bye)).layer(layer.clone()));
        assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
        client.enter(&TestSession::new(&layer).insert("connected", "user@gmail.com"));
        let bye = client.get("/").await;
        assert_eq!(bye.set_cookies(), ["__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"]);
        assert_eq!(client.cookie_names(), [""; 0]);
    }

    #[tokio::test]
    async fn flash_scope() {
        async fn index(flash: Flash) -> String {
            flash.get("success").unwrap_or("Welcome!").to_owned()
        }
        async fn save() -> impl IntoResponse {
            Redirect::to("/home").flashing([("success", "The item has been created")])
        }
        let client = client(Router::new().route("/home", get(index)).route("/save", post(save)).layer(layer()));
        assert_eq!(client.get("/home").await.text(), "Welcome!");
        let saved = client.post("/save").await;
        assert_eq!((saved.status(), &saved.headers()["location"]), (StatusCode::SEE_OTHER, &"/home".parse().unwrap()));
        assert_eq!(client.get("/home").await.text(), "The item has been created");
        assert_eq!(client.get("/home").await.text(), "Welcome!");
    }

    /// What the page after a response shows, if an earlier message is pending.
    async fn next_page(answer: fn(Flash) -> axum::response::Response) -> String {
        let show =
            |flash: Flash| async move { flash.iter().map(|(key, text)| format!("{key}={text} ")).collect::<String>() };
        let (layer, act) = (layer(), post(move |flash: Flash| async move { answer(flash) }));
        let client = client(Router::new().route("/", get(show)).route("/act", act).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("warning", "earlier"));
        client.post("/act").await;
        client.get("/").await.text().trim_end().to_owned()
    }

    #[tokio::test]
    async fn flash_scope_flashing_takes_pairs_and_a_map() {
        let map = |_| "".flashing(std::collections::BTreeMap::from([("error", "b"), ("success", "a")]));
        assert_eq!(next_page(map).await.matches("=").count(), 3);
        let twice = |_| "".removing_from_flash("warning").flashing(("success", "a")).flashing([("info", "b")]);
        assert_eq!(next_page(twice).await, "success=a info=b");
    }

    #[tokio::test]
    async fn flash_scope_with_new_flash() {
        let by_helper = |flash: Flash| {
            flash.success("a");
            "".flashing(("error", "b")).with_new_flash()
        };
        assert_eq!(next_page(by_helper).await, "");
        let by_handle = |flash: Flash| {
            flash.success("a");
            flash.clear();
            flash.discard();
            "".into_response()
        };
        assert_eq!(next_page(by_handle).await, "");
    }

    #[tokio::test]
    async fn flash_scope_removing_from_flash() {
        let by_helper = |flash: Flash| {
            flash.success("a");
            "".flashing([("error", "b"), ("info", "c")]).removing_from_flash(["warning", "error"])
        };
        assert_eq!(next_page(by_helper).await, "success=a info=c");
        let by_handle = |flash: Flash| {
            flash.success("a");
            flash.info("c");
            flash.remove("success");
            flash.discard();
            "".into_response()
        };
        assert_eq!(next_page(by_handle).await, "info=c");
    }

    #[tokio::test]
    async fn the_client_cannot_change_the_data() {
        let layer = layer();
        let client = client(app(&layer));
        client.enter(&TestSession::new(&layer).insert("connected", "user@gmail.com"));
        let token = client.cookie("__Host-session").unwrap();
        client.set_cookie("__Host-session", &token.replace(&token[20..24], "AAAA"));
        assert_eq!(client.get("/").await.status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn the_session_ends_with_the_browser() {
        let layer = layer();
        let client = client(app(&layer));
        client.get("/welcome").await;
        client.close_browser();
        assert_eq!(client.get("/").await.status(), StatusCode::UNAUTHORIZED);
    }
}

/// Revel: Session / Flash Scopes.
mod revel {
    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct User {
        username: String,
        roles: Vec<String>,
    }

    async fn get_user(session: Session) -> Result<Json<Option<User>>, Error> {
        Ok(Json(session.get::<User>("fulluser")?))
    }

    async fn set_user(session: Session) -> Result<(), Error> {
        session.insert("fulluser", User { username: "alice".into(), roles: vec!["admin".into()] })
    }

    #[tokio::test]
    async fn get_into_reads_an_object_into_a_struct() {
        let client = client(Router::new().route("/", get(get_user).post(set_user)).layer(layer()));
        client.post("/").await;
        assert_eq!(client.get("/").await.text(), r#"{"username":"alice","roles":["admin"]}"#);
    }

    #[tokio::test]
    async fn a_value_that_is_not_there_is_an_answer_of_its_own() {
        async fn both(session: Session) -> String {
            session.insert("fulluser", "not a user").unwrap();
            let missing = session.get::<User>("nobody").unwrap();
            let wrong = session.get::<User>("fulluser").unwrap_err();
            format!("{missing:?}; {wrong}")
        }
        let client = client(Router::new().route("/", get(both)).layer(layer()));
        assert_eq!(
            client.get("/").await.text(),
            "None; the session's value for `fulluser`, a text, cannot be read as `User`: use the type that was inserted, or \
             remove the key"
        );
    }

    #[tokio::test]
    async fn the_session_is_a_map_of_json_values() {
        async fn my_method(session: Session) -> Result<(), Error> {
            session.insert("foo", "bar")?;
            session.insert("bar", 1)?;
            session.insert("any", json!({"list": [1.5, null, true], "text": "é\"\n"}))?;
            session.remove("abc");
            Ok(())
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(my_method)).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).insert("abc", "gone"));
        client.get("/").await;
        let session = TestSession::of_client(&layer, &client);
        assert_eq!(session.keys(), ["any", "bar", "foo"]);
        assert_eq!(session.get("foo"), Some("bar".to_owned()));
        assert_eq!(session.get("bar"), Some(1));
        assert_eq!(session.get("any"), Some(json!({"list": [1.5, null, true], "text": "é\"\n"})));
    }

    #[derive(Serialize, Deserialize)]
    struct Settings {
        setting: String,
    }

    async fn show_settings(flash: Flash) -> Html<String> {
        let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
        Html(format!(
            "{} {} {} {}",
            text(flash.get("success")),
            text(flash.get("error")),
            text(flash.errors().get("setting")),
            text(flash.input().get("setting")),
        ))
    }

    async fn save_settings(flash: Flash, Form(settings): Form<Settings>) -> axum::response::Response {
        if settings.setting.trim().is_empty() {
            flash.error("Settings invalid!");
            return Redirect::to("/settings").with_errors([("setting", "Required")]).with_input(&settings);
        }
        flash.success("Settings saved!");
        Redirect::to("/settings").into_response()
    }

    #[tokio::test]
    async fn the_settings_walk() {
        let app = Router::new().route("/settings", get(show_settings).post(save_settings)).layer(layer());
        let client = client(app);
        assert_eq!(client.get("/settings").await.text(), "- - - -");
        let refused = client.post_form("/settings", &[("setting", "  ")]).await;
        assert_eq!(refused.status(), StatusCode::SEE_OTHER);
        assert_eq!(client.get("/settings").await.text(), "- Settings invalid! Required   ");
        assert_eq!(client.get("/settings").await.text(), "- - - -");
        client.post_form("/settings", &[("setting", "on")]).await;
        assert_eq!(client.get("/settings").await.text(), "Settings saved! - - -");
        assert_eq!(client.get("/settings").await.text(), "- - - -");
    }

    #[tokio::test]
    async fn a_template_names_a_message_by_its_key() {
        async fn page(flash: Flash) -> Html<String> {
            let mut templates = minijinja::Environment::new();
            templates.add_template("page.html", "{{ flash.success }}|{{ flash.error }}").unwrap();
            let page = templates.get_template("page.html").unwrap();
            Html(page.render(minijinja::context! { flash => minijinja::value::Serde(&flash) }).unwrap())
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("success", "1 < 2"));
        assert_eq!(client.get("/").await.text(), "1 &lt; 2|");
        assert_eq!(client.get("/").await.text(), "|");
    }

    #[tokio::test]
    async fn flash_variables_without_a_redirect() {
        async fn submit(mut flash: Flash) -> String {
            flash.now("error", "Name is taken");
            flash.get("error").unwrap_or("-").to_owned()
        }
        let client = client(Router::new().route("/", get(submit)).layer(layer()));
        let page = client.get("/").await;
        assert_eq!((page.text().as_str(), page.set_cookies().len()), ("Name is taken", 0));
    }

    #[tokio::test]
    async fn flash_out_is_a_map_that_is_written_and_deleted_by_key() {
        async fn write(flash: Flash) {
            flash.set("success", "a");
            flash.set("success", "b");
            flash.set("error", "c");
            flash.remove("error");
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(write)).layer(layer.clone()));
        client.get("/").await;
        let session = TestSession::of_client(&layer, &client);
        assert_eq!(session.messages().get_all("success"), ["b"]);
        assert_eq!(session.messages().get("error"), None);
    }

    #[tokio::test]
    async fn success_and_error_are_abbreviations() {
        async fn write(flash: Flash) {
            flash.success("a");
            flash.error("b");
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(write)).layer(layer.clone()));
        client.get("/").await;
        let session = TestSession::of_client(&layer, &client);
        assert_eq!(session.messages().get_all("success"), ["a"]);
        assert_eq!(session.messages().get_all("error"), ["b"]);
    }
}

/// Buffalo: Sessions.
mod buffalo {
    use session_axum::Keys;

    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Person {
        name: String,
        born: Option<u16>,
    }

    #[tokio::test]
    async fn the_session_type() {
        async fn all(session: Session) -> Result<String, Error> {
            session.insert("name", 1)?;
            let set: Option<i32> = session.get("name")?;
            let once: Option<i32> = session.take("name")?;
            let twice: Option<i32> = session.take("name")?;
            session.insert("a", true)?;
            session.insert("b", true)?;
            let deleted = (session.remove("a"), session.remove("a"));
            session.save().await?;
            session.clear();
            Ok(format!("{set:?} {once:?} {twice:?} {deleted:?} {}", session.is_empty()))
        }
        let client = client(Router::new().route("/", get(all)).layer(layer()));
        assert_eq!(client.get("/").await.text(), "Some(1) Some(1) None (true, false) true");
        assert_eq!(client.cookie_names(), [""; 0]);
    }

    /// What the flash has for the next page after `act`, as the lists of a template.
    async fn flash_after(act: fn(Flash)) -> serde_json::Value {
        let show = |flash: Flash| async move { Json(json!(flash.by_key())) };
        let act = post(move |flash: Flash| async move { act(flash) });
        let client = client(Router::new().route("/", get(show)).route("/act", act).layer(layer()));
        client.post("/act").await;
        serde_json::from_str(&client.get("/").await.text()).unwrap()
    }

    #[tokio::test]
    async fn flash_add_makes_lists() {
        let add = flash_after(|flash| {
            flash.add("success", "a");
            flash.add("danger", "b");
            flash.add("success", "c");
        });
        assert_eq!(add.await, json!({"success": ["a", "c"], "danger": ["b"]}));
    }

    #[tokio::test]
    async fn flash_set_replaces_the_list_of_a_key() {
        let set = flash_after(|flash| {
            flash.add("success", "a");
            flash.add("success", "b");
            flash.set("success", "c");
            flash.set("danger", "d");
        });
        assert_eq!(set.await, json!({"success": ["c"], "danger": ["d"]}));
    }

    #[tokio::test]
    async fn flash_delete_removes_the_list_of_a_key() {
        let delete = flash_after(|flash| {
            flash.add("success", "a");
            flash.add("success", "b");
            flash.add("danger", "c");
            flash.remove("success");
            flash.remove("none");
        });
        assert_eq!(delete.await, json!({"danger": ["c"]}));
    }

    #[tokio::test]
    async fn flash_clear_removes_everything() {
        let clear = flash_after(|flash| {
            flash.add("success", "a");
            flash.clear();
            flash.add("danger", "b");
        });
        assert_eq!(clear.await, json!({"danger": ["b"]}));
    }

    #[tokio::test]
    async fn a_template_iterates_over_the_lists_of_the_flash() {
        async fn page(flash: Flash) -> Html<String> {
            let mut templates = minijinja::Environment::new();
            let page = "{% for key, texts in flash | items %}{% for text in texts %}<p class={{ key }}>{{ text }}</p>{% endfor %}{% endfor %}";
            templates.add_template("page.html", page).unwrap();
            let page = templates.get_template("page.html").unwrap();
            Html(page.render(minijinja::context! { flash => minijinja::value::Serde(flash.by_key()) }).unwrap())
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("success", "a").flash("success", "<b>"));
        assert_eq!(client.get("/").await.text(), "<p class=success>a</p><p class=success>&lt;b&gt;</p>");
    }

    #[tokio::test]
    async fn the_session_has_the_name_that_the_options_say() {
        async fn set(session: Session) -> Result<(), Error> {
            session.insert("a", 1)
        }
        let client = client(Router::new().route("/", get(set)).layer(layer().name("_coke_session").unwrap()));
        client.get("/").await;
        assert_eq!(client.cookie_names(), ["_coke_session"]);
    }

    #[test]
    fn a_missing_session_secret_is_an_error_with_the_remedy() {
        let error = Keys::from_env("SESSION_SECRET_THAT_NOBODY_SETS").unwrap_err();
        assert_eq!(
            error.to_string(),
            "SESSION_SECRET_THAT_NOBODY_SETS is not set or empty; make a good one with `openssl rand -base64 48`"
        );
    }

    #[tokio::test]
    async fn complex_types_need_no_registration() {
        async fn person(session: Session) -> Result<Json<Person>, Error> {
            session
                .update("person", |_: Option<Person>| Person { name: "Ann".into(), born: Some(1815) })
                .await
                .map(Json)
        }
        let layer = layer();
        let client = client(Router::new().route("/", get(person)).layer(layer.clone()));
        client.get("/").await;
        let stored = TestSession::of_client(&layer, &client).get::<Person>("person");
        assert_eq!(stored, Some(Person { name: "Ann".into(), born: Some(1815) }));
    }

    #[tokio::test]
    async fn a_session_is_saved_automatically_and_its_error_takes_the_normal_way() {
        async fn too_much(session: Session) -> Result<&'static str, Error> {
            session.insert("small", 1)?;
            session.insert("big", "x".repeat(5_000))?;
            Ok("all is well")
        }
        let told = layer().on_error(|error| (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response());
        let client = client(Router::new().route("/", get(too_much)).layer(told));
        let page = client.get("/").await;
        assert_eq!(page.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(
            page.text(),
            "the cookie __Host-session would have 6801 bytes, but at most 4096 are allowed; \
             the largest keys: big (5009 bytes), small (10 bytes); \
             store less, or let a session use several cookies with `SessionLayer::chunked`"
        );
        assert_eq!(page.set_cookies(), [""; 0]);
    }

    #[tokio::test]
    async fn a_null_session_is_always_empty() {
        async fn touch(session: Session, flash: Flash) -> Result<String, Error> {
            let seen = session.len();
            session.insert("a", 1)?;
            flash.success("b");
            Ok(format!("{seen} {}", session.len()))
        }
        let client = client(Router::new().route("/", get(touch)).layer(SessionLayer::null()));
        for _ in 0..2 {
            let page = client.get("/").await;
            assert_eq!((page.text().as_str(), page.set_cookies().len()), ("0 1", 0));
        }
    }
}
