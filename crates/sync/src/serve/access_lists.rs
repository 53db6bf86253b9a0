use super::{Answer, ITEMS_MAX};
use starling_devp2p::eth::NO_ACCESS_LIST;
use starling_primitives::{B256, Bytes, ReadError};
use starling_state::{BlockId, ChainView};

/// The access lists of the named blocks, each at the place of its hash; [`NO_ACCESS_LIST`] for a block that is unknown
/// or has none, as all before Amsterdam. Ends early when full: what is not reached is not there.
///
/// # Errors
/// When the database cannot be read: nothing about the request.
pub fn access_lists(view: &ChainView, hashes: &[B256]) -> Result<Vec<Bytes>, ReadError> {
    let mut answer = Answer::default();
    for hash in hashes.iter().take(ITEMS_MAX) {
        let list = match view.find(BlockId::Hash(*hash))? {
            Some(at) => view.access_list(at)?,
            None => None,
        };
        if !answer.push(list.unwrap_or(NO_ACCESS_LIST)) || answer.is_full() {
            break;
        }
    }
    Ok(answer.items)
}
