//! Where a test keeps its records, and the ways there.

use std::fmt;
use std::sync::Arc;

use super::{Proxy, UrlOf};
use crate::{Access, Store};

/// A place of its own for a test, on a server that may be shared, by way of some ports of 127.0.0.1.
#[derive(Clone)]
pub struct Place {
    url: UrlOf,
    name: String,
    ports: Vec<u16>,
    options: Vec<String>,
    /// What its URL does not say.
    pub access: Access,
}

impl Place {
    pub(super) fn new(url: UrlOf, name: String, ports: &[u16], secret: Option<&str>) -> Place {
        let access = secret.map(Access::with_secret).unwrap_or_default();
        Place { url, name, ports: ports.to_vec(), options: Vec::new(), access }
    }

    /// All that another Steadfast serves over HTTP at `port`.
    pub fn http(port: u16) -> Place {
        Place::new(Arc::new(|_, ports| format!("http://127.0.0.1:{}", ports[0])), String::new(), &[port], None)
    }

    /// With an option in its URL: `keep=256`.
    pub fn with(mut self, option: &str) -> Place {
        self.options.push(option.to_owned());
        self
    }

    /// The same, by way of these ports: those of another server that has it, of several.
    pub fn at(&self, ports: &[u16]) -> Place {
        Place { ports: ports.to_vec(), ..self.clone() }
    }

    /// The same, by way of a proxy, which stands before its ports now.
    pub fn through_a_proxy(&self) -> (Place, Proxy) {
        let proxy = Proxy::new(&self.ports);
        (self.at(proxy.ports()), proxy)
    }

    /// The ports by way of which it is reached.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Its URL. It holds no secret.
    pub fn url(&self) -> String {
        let mut url = (self.url)(&self.name, &self.ports);
        for option in &self.options {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(option);
        }
        url
    }

    /// A handle of its own.
    ///
    /// # Panics
    /// If the URL is wrong.
    pub fn open(&self) -> Arc<dyn Store> {
        crate::open(&self.url(), &self.access).unwrap_or_else(|e| panic!("open {}: {e}", self.url()))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.url()).finish()
    }
}
