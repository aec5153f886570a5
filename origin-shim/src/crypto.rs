//! Whose cryptography TLS is made with.

use tokio_rustls::rustls::crypto::ring;

/// Makes it that of `ring` where nobody is asked, unless the process has chosen before: as soon as
/// another crate of it brings a second one, rustls takes none by itself.
pub(crate) fn choose() {
    // An error says that there is a choice.
    let _ = ring::default_provider().install_default();
}
