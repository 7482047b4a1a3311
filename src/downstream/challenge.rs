//! `WWW-Authenticate`: how a refused caller is asked to authenticate (RFC 9110 §11.6.1).
//!
//! Must never name OAuth metadata (RFC 9728): a client that finds some starts a login that leads nowhere,
//! and some then drop the header that they were configured with. Must never say more than a code.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};

use crate::model::reason::Reason;

/// When a caller whose keys cannot be had may ask again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");
/// When a caller may ask again from whose address too many credentials were refused in a minute, in seconds.
const NEXT_MINUTE: HeaderValue = HeaderValue::from_static("60");

/// Adds what a caller refused for `reason` is told.
pub(super) fn add(reason: Reason, headers: &mut HeaderMap) {
    use Reason as R;
    let challenge = match reason {
        // Not the caller's fault, and no other credential would help.
        R::KeysUnavailable => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            return;
        }
        // No credential at all is looked at.
        R::AuthenticationsExceeded => {
            headers.insert(RETRY_AFTER, NEXT_MINUTE);
            return;
        }
        // RFC 9449 §7.1.
        R::ProofMissing => r#"DPoP error="invalid_token", algs="ES256 EdDSA PS256 RS256""#,
        R::ProofInvalid => r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA PS256 RS256""#,
        // RFC 6750 §3.1.
        R::TokenMalformed
        | R::TokenTypeForbidden
        | R::TokenAlgorithmForbidden
        | R::TokenIssuerUnknown
        | R::TokenKeyUnknown
        | R::TokenSignatureInvalid
        | R::TokenExpired
        | R::TokenNotYetValid
        | R::TokenAudienceWrong
        | R::TokenClaimsInvalid
        | R::TokenLifetimeTooLong
        | R::LabelForbidden
        | R::TokensDisagree
        | R::CredentialRevoked => r#"Bearer error="invalid_token""#,
        // "If the request lacks any authentication information […], the resource server SHOULD NOT include
        // an error code" (RFC 6750 §3.1); a key is not something that this framework has a code for.
        _ => "Bearer",
    };
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_a_code_and_never_metadata() {
        for reason in Reason::ALL {
            let mut headers = HeaderMap::new();
            add(*reason, &mut headers);
            let said = headers.get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
            let asks_for_none = [Reason::KeysUnavailable, Reason::AuthenticationsExceeded].contains(reason);
            assert_eq!(said.is_none(), asks_for_none, "{reason}");
            let said = said.unwrap_or_default();
            assert!(!said.contains("metadata") && !said.contains(reason.sentence()), "{said}");
        }
        let mut headers = HeaderMap::new();
        add(Reason::CredentialMissing, &mut headers);
        assert_eq!(headers[WWW_AUTHENTICATE], "Bearer");
    }
}
