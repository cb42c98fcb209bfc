//! `SessionConfig`: the settings of a layer that an operator can change, from a file or from the environment.

use std::{env, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use session_core::{Keys, cookie::SettingsError};

use crate::{FlashMode, SameSite, config::Sealing, engine::Engine, layer::SessionLayer};

/// Declares the settings once: the fields, their names, and how a text becomes a field.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty $(, $least:expr => $most:expr)?;)*) => {
        /// The settings of a [`SessionLayer`] that a file or the environment can hold. A setting that is `None` stays
        /// as it is. Stores, clocks and functions are set in code.
        ///
        /// The names are those of the layer's methods. Durations are texts: `90s`, `10m`, `1h`, `30d`. An unknown name
        /// or value is an error, and so is a value outside of the range that the method has.
        ///
        /// # Examples
        ///
        /// ```
        /// use session_axum::{Keys, SessionConfig, SessionLayer};
        ///
        /// let file = r#"{ "engine": "signed", "name": "__Host-shop", "idle_timeout": "30m", "persistent": true }"#;
        /// let config: SessionConfig = serde_json::from_str(file)?; // or TOML, or YAML
        /// let layer = SessionLayer::from_config(&config, Keys::generate())?;
        /// assert!(format!("{layer:?}").contains("__Host-shop"));
        ///
        /// let error = serde_json::from_str::<SessionConfig>(r#"{ "idle_timeout": 30 }"#).unwrap_err();
        /// assert!(error.to_string().starts_with("`idle_timeout` needs a whole number and a unit, like `90s`"));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct SessionConfig {
            $($(#[doc = $doc])* pub $name: Option<$type>,)*
        }

        impl SessionConfig {
            /// The names of all settings.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Sets one setting. `shown` is its name in the place where the operator wrote it.
            fn set(&mut self, name: &str, shown: &str, text: &str) -> Result<(), ConfigError> {
                match name {
                    $(stringify!($name) => {
                        let value = <$type as Setting>::of(text);
                        let value = value.ok_or_else(|| ConfigError::value(shown, <$type as Setting>::FORM))?;
                        $(Range { least: $least, most: $most }.check(&value, shown)?;)?
                        self.$name = Some(value);
                    })*
                    _ => return Err(ConfigError::unknown(shown)),
                }
                Ok(())
            }
        }
    };
}

settings! {
    /// Whether cookies are signed or encrypted, for [`SessionLayer::from_config`]: signed by default.
    engine: CookieEngine;
    /// See [`SessionLayer::name`].
    name: String;
    /// See [`SessionLayer::flash_name`].
    flash_name: String;
    /// See [`SessionLayer::domain`].
    domain: String;
    /// See [`SessionLayer::path`].
    path: String;
    /// See [`SessionLayer::same_site`].
    same_site: SameSite;
    /// See [`SessionLayer::partitioned`].
    partitioned: bool;
    /// See [`SessionLayer::clear_site_data`].
    clear_site_data: bool;
    /// See [`SessionLayer::insecure_over_http`].
    insecure_over_http: bool;
    /// See [`SessionLayer::application`].
    application: String;
    /// See [`SessionLayer::idle_timeout`].
    idle_timeout: Duration, SECOND => TEN_YEARS;
    /// See [`SessionLayer::note_visits_every`].
    note_visits_every: Duration, SECOND => TEN_YEARS;
    /// See [`SessionLayer::clock_skew`].
    clock_skew: Duration, Duration::ZERO => HOUR;
    /// See [`SessionLayer::lifetime`].
    lifetime: Duration, SECOND => TEN_YEARS;
    /// See [`SessionLayer::flash_lifetime`].
    flash_lifetime: Duration, SECOND => DAY;
    /// See [`SessionLayer::persistent`].
    persistent: bool;
    /// See [`SessionLayer::chunked`].
    chunked: usize, 1 => 8;
    /// See [`SessionLayer::flash_mode`].
    flash_mode: FlashMode;
    /// See [`SessionLayer::save_on_server_error`].
    save_on_server_error: bool;
    /// See [`SessionLayer::store_timeout`].
    store_timeout: Duration, SECOND => MINUTE;
    /// See [`SessionLayer::sweep_every`].
    sweep_every: Duration, SECOND => DAY;
    /// See [`SessionLayer::sweep_every`]. `true` switches it off.
    without_sweeping: bool;
    /// See [`SessionLayer::bearer`].
    bearer: bool;
    /// See [`SessionLayer::watch_every`].
    watch_every: Duration, SECOND => MINUTE;
    /// See [`SessionLayer::sessions_per_owner`].
    sessions_per_owner: u32, 1 => u32::MAX;
    /// See [`SessionLayer::insecure_trust_when_unavailable`].
    insecure_trust_when_unavailable: bool;
}

impl SessionConfig {
    /// Reads the settings from environment variables: with the prefix `SHOP_SESSION_`, the variable
    /// `SHOP_SESSION_IDLE_TIMEOUT` is the setting `idle_timeout`.
    ///
    /// The variables that [`Keys::from_env`] reads may have the same prefix: `SECRET` and
    /// `SECRET_PREVIOUS` after the prefix, and both with `_FILE`, are left to it.
    ///
    /// # Errors
    ///
    /// Returns an error if a variable with the prefix has an unknown name, or a value that the setting does not take.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_axum::SessionConfig;
    ///
    /// // SHOP_SESSION_IDLE_TIMEOUT=30m
    /// let config = SessionConfig::from_env("SHOP_SESSION_")?;
    /// assert_eq!(config, SessionConfig::default()); // nothing is set here
    /// # Ok::<(), session_axum::error::ConfigError>(())
    /// ```
    pub fn from_env(prefix: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (variable, value) in env::vars_os() {
            let Some(variable) = variable.to_str().filter(|name| name.starts_with(prefix)) else { continue };
            let rest = &variable[prefix.len()..];
            if OF_THE_KEYS.contains(&rest) {
                continue;
            }
            // A variable in small letters is a mistake too, and not another spelling.
            let name = Self::NAMES.iter().find(|name| name.to_uppercase() == rest).copied().unwrap_or_default();
            config.set(name, variable, value.to_str().unwrap_or_default())?;
        }
        Ok(config)
    }
}

/// The ends of variables that belong to the keys.
const OF_THE_KEYS: [&str; 4] = ["SECRET", "SECRET_PREVIOUS", "SECRET_FILE", "SECRET_PREVIOUS_FILE"];

impl SessionLayer {
    /// Creates a layer with its sessions in cookies, signed or encrypted, and with the settings of `config`.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings contradict each other, or if a browser would refuse the cookies. Also returns
    /// an error if `config` asks for encryption without the feature `encrypted`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_axum::{CookieEngine, Keys, SessionConfig, SessionLayer};
    ///
    /// let mut config = SessionConfig::default();
    /// config.engine = Some(CookieEngine::Encrypted);
    /// assert!(SessionLayer::from_config(&config, Keys::generate()).is_ok());
    ///
    /// config.name = Some("my shop".to_owned()); // a space
    /// assert!(SessionLayer::from_config(&config, Keys::generate()).is_err());
    /// ```
    pub fn from_config(config: &SessionConfig, keys: Keys) -> Result<Self, ConfigError> {
        let layer = match config.engine.unwrap_or_default() {
            CookieEngine::Signed => Self::signed(keys),
            #[cfg(feature = "encrypted")]
            CookieEngine::Encrypted => Self::encrypted(keys),
            #[cfg(not(feature = "encrypted"))]
            CookieEngine::Encrypted => return Err(ConfigError::new(NOT_ENCRYPTED)),
        };
        layer.configured(config)
    }

    /// Applies the settings of `config` to this layer. Settings that `config` does not have stay as they are.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings contradict each other or this layer's settings, if a browser would refuse the
    /// cookies, if `engine` is another one than this layer's, or if `note_visits_every` is more than half of the idle
    /// timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_axum::{CookieEngine, Keys, SessionConfig, SessionLayer};
    ///
    /// let mut config = SessionConfig::default();
    /// config.domain = Some("example.com".to_owned());
    /// let layer = SessionLayer::signed(Keys::generate());
    /// assert!(layer.clone().configured(&config).is_ok());
    ///
    /// config.engine = Some(CookieEngine::Encrypted);
    /// assert!(layer.configured(&config).is_err());
    /// ```
    pub fn configured(self, config: &SessionConfig) -> Result<Self, ConfigError> {
        self.check_engine(config)?;
        let given = |text: &Option<String>| text.clone();
        let layer = try_apply(self, given(&config.name), |layer, name| layer.name(&name))?;
        let layer = try_apply(layer, given(&config.flash_name), |layer, name| layer.flash_name(&name))?;
        let layer = try_apply(layer, given(&config.domain), |layer, domain| layer.domain(&domain))?;
        let layer = try_apply(layer, given(&config.path), |layer, path| layer.path(&path))?;
        let layer = try_apply(layer, config.same_site, Self::same_site)?;
        let layer = layer.with_times(config).with_store(config);
        if config.note_visits_every.is_some_and(|pause| pause.as_secs() > layer.settings().limits().idle / 2) {
            return Err(ConfigError::new(TOO_LONG_A_PAUSE));
        }
        let layer = apply(layer, given(&config.application), |layer, name| layer.application(&name));
        let layer = apply(layer, config.partitioned, Self::partitioned);
        let layer = apply(layer, config.clear_site_data, Self::clear_site_data);
        let layer = apply(layer, config.persistent, Self::persistent);
        let layer = apply(layer, config.chunked, Self::chunked);
        let layer = apply(layer, config.flash_mode, Self::flash_mode);
        let layer = apply(layer, config.save_on_server_error, Self::save_on_server_error);
        // At the end, because it turns off what needs Secure.
        Ok(apply(layer, on(config.insecure_over_http), |layer, ()| layer.insecure_over_http()))
    }

    fn with_times(self, config: &SessionConfig) -> Self {
        let layer = apply(self, config.idle_timeout, Self::idle_timeout);
        let layer = apply(layer, config.note_visits_every, Self::note_visits_every);
        let layer = apply(layer, config.clock_skew, Self::clock_skew);
        let layer = apply(layer, config.lifetime, Self::lifetime);
        apply(layer, config.flash_lifetime, Self::flash_lifetime)
    }

    fn with_store(self, config: &SessionConfig) -> Self {
        let layer = apply(self, config.store_timeout, Self::store_timeout);
        let layer = apply(layer, config.sweep_every, Self::sweep_every);
        let layer = apply(layer, on(config.bearer), |layer, ()| layer.bearer());
        let layer = apply(layer, config.watch_every, Self::watch_every);
        let layer = apply(layer, config.sessions_per_owner, Self::sessions_per_owner);
        let layer = apply(layer, on(config.without_sweeping), |layer, ()| layer.sweep_every(None));
        let trusts = on(config.insecure_trust_when_unavailable);
        apply(layer, trusts, |layer, ()| layer.insecure_trust_when_unavailable())
    }

    fn check_engine(&self, config: &SessionConfig) -> Result<(), ConfigError> {
        let Some(engine) = config.engine else { return Ok(()) };
        let settings = self.settings();
        let is_cookie = matches!(settings.engine(), Engine::Cookie(_) | Engine::RevocableCookie(_));
        let is_same = settings.config.sealing.as_ref().is_some_and(|sealing| engine.is_of(sealing));
        if is_cookie && is_same { Ok(()) } else { Err(ConfigError::new(ANOTHER_ENGINE)) }
    }
}

fn apply<V>(layer: SessionLayer, value: Option<V>, set: impl FnOnce(SessionLayer, V) -> SessionLayer) -> SessionLayer {
    match value {
        Some(value) => set(layer, value),
        None => layer,
    }
}

fn try_apply<V>(
    layer: SessionLayer,
    value: Option<V>,
    set: impl FnOnce(SessionLayer, V) -> Result<SessionLayer, SettingsError>,
) -> Result<SessionLayer, SettingsError> {
    match value {
        Some(value) => set(layer, value),
        None => Ok(layer),
    }
}

/// Returns a value if the switch is on.
fn on(switch: Option<bool>) -> Option<()> {
    (switch == Some(true)).then_some(())
}

/// The protection of sessions in cookies, in a [`SessionConfig`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieEngine {
    /// [`SessionLayer::signed`]
    #[default]
    Signed,
    /// `SessionLayer::encrypted`, with the feature `encrypted`.
    Encrypted,
}

impl CookieEngine {
    const fn is_of(self, sealing: &Sealing) -> bool {
        matches!(self, Self::Signed) == matches!(sealing.protection, session_core::token::Protection::Signed)
    }
}

/// A type of settings.
trait Setting: Sized {
    /// The values that the setting takes, for its error.
    const FORM: &'static str;

    fn of(text: &str) -> Option<Self>;
}

/// The values that a setting takes, with both ends.
struct Range<T> {
    least: T,
    most: T,
}

impl<T: PartialOrd + Written> Range<T> {
    fn check(&self, value: &T, shown: &str) -> Result<(), ConfigError> {
        let Self { least, most } = self;
        if least <= value && value <= most {
            return Ok(());
        }
        Err(ConfigError(format!("`{shown}` needs a value from {} to {}", least.written(), most.written())))
    }
}

/// A value as an operator writes it.
trait Written {
    fn written(&self) -> String;
}

impl Written for usize {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for Duration {
    fn written(&self) -> String {
        let seconds = self.as_secs();
        let (size, unit) =
            UNITS.into_iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size)).unwrap_or((1, "s"));
        format!("{}{unit}", seconds / size)
    }
}

/// The units of durations, in seconds.
const UNITS: [(u64, &str); 4] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TEN_YEARS: Duration = Duration::from_secs(crate::layer::TEN_YEARS);

impl Setting for String {
    const FORM: &'static str = "a text";

    fn of(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Setting for bool {
    const FORM: &'static str = "`true` or `false`";

    fn of(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for usize {
    const FORM: &'static str = "a whole number";

    fn of(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for u32 {
    const FORM: &'static str = "a whole number";

    fn of(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for Duration {
    const FORM: &'static str = "a whole number and a unit, like `90s`, `10m`, `1h` or `30d`";

    fn of(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let (seconds, _) = UNITS.into_iter().find(|(_, known)| *known == unit)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| digits)?;
        number.checked_mul(seconds).map(Self::from_secs)
    }
}

impl Setting for SameSite {
    const FORM: &'static str = "`strict`, `lax` or `none`";

    fn of(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "strict" => Some(Self::Strict),
            "lax" => Some(Self::Lax),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

impl Setting for FlashMode {
    const FORM: &'static str = "`until_read` or `next_request`";

    fn of(text: &str) -> Option<Self> {
        match text {
            "until_read" => Some(Self::UntilRead),
            "next_request" => Some(Self::NextRequest),
            _ => None,
        }
    }
}

impl Setting for CookieEngine {
    const FORM: &'static str = "`signed` or `encrypted`; a store is chosen in code, with `SessionLayer::stored`";

    fn of(text: &str) -> Option<Self> {
        match text {
            "signed" => Some(Self::Signed),
            "encrypted" => Some(Self::Encrypted),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for SessionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = SessionConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with the settings of sessions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SessionConfig, A::Error> {
        let mut config = SessionConfig::default();
        while let Some(name) = map.next_key::<String>()? {
            let Value(text) = map.next_value()?;
            config.set(&name, &name, &text).map_err(A::Error::custom)?;
        }
        Ok(config)
    }
}

/// A value in a file, as a text: `true`, `5` and `"30m"` are read alike.
struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, or `true` or `false`")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value(value.to_owned()))
    }
}

/// The error for settings that cannot be used. Its sentence names the setting and the remedy, and never shows a value.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    fn new(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }

    fn unknown(shown: &str) -> Self {
        Self(format!("`{shown}` is no setting of sessions: use one of {}", SessionConfig::NAMES.join(", ")))
    }

    fn value(shown: &str, form: &str) -> Self {
        Self(format!("`{shown}` needs {form}"))
    }
}

impl From<SettingsError> for ConfigError {
    fn from(error: SettingsError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints the same sentence as `Display`, because a `main` that returns an error prints its `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

const TOO_LONG_A_PAUSE: &str = "`note_visits_every` needs a value of at most half of `idle_timeout`";
const ANOTHER_ENGINE: &str = "`engine` is another one than the layer's: remove the setting, or create the layer with `SessionLayer::from_config`";
#[cfg(not(feature = "encrypted"))]
const NOT_ENCRYPTED: &str = "`engine` is `encrypted`: add the feature `encrypted` to session-axum";
