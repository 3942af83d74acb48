//! Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's programs read them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::url::{Scheme, Url, is_loopback};

/// The proxies of a daemon.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub url: Url,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.url.origin())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// The domain without a leading dot, whether it is excepted itself, the port.
    Domain(String, bool, Option<u16>),
}

impl Proxies {
    /// From the three settings; empty means none.
    pub fn new(http: &str, https: &str, except: &str) -> Result<Proxies> {
        Ok(Proxies {
            http: proxy(http)?,
            https: proxy(https)?,
            except: except.split(',').filter_map(|word| exception(word.trim())).collect(),
        })
    }

    /// The proxy for a request. This very machine is never asked through one.
    pub(crate) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }?;
        let excepted = is_loopback(&url.host) || self.except.iter().any(|e| e.covers(&url.host, url.port));
        (!excepted).then_some(proxy)
    }
}

fn proxy(text: &str) -> Result<Option<Proxy>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        || Error::Configuration("proxies: the proxy must be http://[user:password@]host[:port]".into());
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(wrong());
    }
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let url = Url::parse(&format!("{scheme}://{rest}")).ok_or_else(wrong)?;
    let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(unescape(user))));
    Ok(Some(Proxy { url, authorization }))
}

/// Undoes percent-encoding; what is no escape stays as it is.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn exception(word: &str) -> Option<Exception> {
    if word.is_empty() {
        return None;
    }
    if word == "*" {
        return Some(Exception::Everything);
    }
    if let Ok(network) = word.parse() {
        return Some(Exception::Network(network));
    }
    if let Ok(address) = word.trim_matches(['[', ']']).parse() {
        return Some(Exception::Address(address, None));
    }
    let (host, port) = crate::url::split_authority(word)?;
    if let Ok(address) = host.parse() {
        return Some(Exception::Address(address, port));
    }
    let host = host.to_ascii_lowercase();
    let domain = host.strip_prefix("*.").or(host.strip_prefix('.'));
    Some(Exception::Domain(domain.unwrap_or(&host).to_owned(), domain.is_none(), port))
}

impl Exception {
    fn covers(&self, host: &str, port: u16) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        match self {
            Exception::Everything => true,
            Exception::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Exception::Address(this, only) => address == Some(*this) && only.is_none_or(|only| only == port),
            Exception::Domain(domain, itself, only) => {
                let host = host.to_ascii_lowercase();
                let below = host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
                (below || (*itself && host == *domain)) && only.is_none_or(|only| only == port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_as_in_go() {
        let except = "10.0.0.0/8, .corp.example,plain.example,port.example:5000,192.0.2.1";
        let proxies = Proxies::new("http://u:p%40@proxy:3128", "proxy:3128", except).unwrap();
        for (url, through) in [
            ("https://registry.example/", true),
            ("http://registry.example/", true),
            ("http://localhost:5000/", false),
            ("http://127.0.0.1:5000/", false),
            ("https://10.1.2.3/", false),
            ("https://corp.example/", true),
            ("https://a.corp.example/", false),
            ("https://plain.example/", false),
            ("https://a.plain.example/", false),
            ("https://explain.example/", true),
            ("https://port.example/", true),
            ("https://port.example:5000/", false),
            ("https://192.0.2.1/", false),
        ] {
            assert_eq!(proxies.of(&Url::parse(url).unwrap()).is_some(), through, "{url}");
        }
        let proxy = proxies.of(&Url::parse("http://x.example/").unwrap()).unwrap();
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dTpwQA=="));
        assert!(Proxies::new("socks5://x", "", "").is_err());
    }
}
