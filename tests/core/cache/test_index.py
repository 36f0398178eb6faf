"""The index against a dict, also where many keys have the same hash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlf.cache import index
from tlf.cache.index import Index, key_array, numbered

few_keys = st.lists(st.integers(0, 40), max_size=30).map(
    lambda numbers: [number.to_bytes(32, "little") for number in numbers]
)


@pytest.mark.parametrize("clashing", [1, 3, None])
@given(st.lists(few_keys, max_size=5), few_keys)
def test_it_finds_what_a_dict_would(clashing, added, asked):
    with pytest.MonkeyPatch.context() as patch:
        if clashing is not None:
            patch.setattr(index, "hashes", lambda keys: keys[:, 0] % np.uint64(clashing))
        found, expected = Index(), {}
        for segment, keys in enumerate(added):
            found = found.with_rows(key_array(keys), numbered(segment, len(keys)))
            for row, key in enumerate(keys):
                expected.setdefault(key, (segment << 32) + row)
        places = found.find(key_array(asked)).tolist()
        assert places == [expected.get(key, -1) for key in asked]
        assert len(found) == sum(map(len, added))


@given(st.lists(few_keys, min_size=1, max_size=5), few_keys, st.integers(0, 4))
def test_without_a_segment_the_rows_of_others_are_found(added, asked, lost):
    found = Index()
    for segment, keys in enumerate(added):
        found = found.with_rows(key_array(keys), numbered(segment, len(keys)))
    kept = {key for segment, keys in enumerate(added) if segment != lost for key in keys}
    places = found.without(lost).find(key_array(asked))
    assert (places >= 0).tolist() == [key in kept for key in asked]
    assert not (places >> 32 == lost)[places >= 0].any()


def test_no_two_of_many_keys_that_are_alike_have_one_hash():
    numbers = range(20_000)
    for order in ("little", "big"):
        keys = key_array([number.to_bytes(32, order) for number in numbers])
        assert len(np.unique(index.hashes(keys))) == len(numbers)
