/* See lists.h. */
#include "errors.h"

#include <cstring>
#include <memory>

#include <faiss/IndexScalarQuantizer.h>
#include <faiss/invlists/InvertedLists.h>

#include "lists.h"

namespace {

/* Lists in memory of someone else's. Nothing can be added to them. */
struct PlacedLists : faiss::InvertedLists {
    const uint8_t* base;
    const uint8_t* places;
    size_t stride;

    PlacedLists(size_t nlist, size_t code_size, const uint8_t* base, const void* places,
                size_t stride)
            : InvertedLists(nlist, code_size),
              base(base),
              places(static_cast<const uint8_t*>(places)),
              stride(stride) {}

    sat_faiss_place place(size_t list) const {
        sat_faiss_place found;
        std::memcpy(&found, places + list * stride, sizeof found);
        return found;
    }

    size_t list_size(size_t list) const override {
        return place(list).rows;
    }

    const uint8_t* get_codes(size_t list) const override {
        return base + place(list).offset;
    }

    const idx_t* get_ids(size_t) const override {
        FAISS_THROW_MSG("these lists have no ids");
    }

    size_t add_entries(size_t, size_t, const idx_t*, const uint8_t*) override {
        FAISS_THROW_MSG("these lists are not to be written");
    }

    void update_entries(size_t, size_t, size_t, const idx_t*, const uint8_t*) override {
        FAISS_THROW_MSG("these lists are not to be written");
    }

    void resize(size_t, size_t) override {
        FAISS_THROW_MSG("these lists are not to be written");
    }
};

const faiss::IndexIVFScalarQuantizer* cast(const FaissIndexIVFScalarQuantizer* index) {
    return reinterpret_cast<const faiss::IndexIVFScalarQuantizer*>(index);
}

}  // namespace

int sat_faiss_get_ranges(const FaissIndexIVFScalarQuantizer* index, float* ranges) {
    try {
        const std::vector<float>& trained = cast(index)->sq.trained;
        FAISS_THROW_IF_NOT(trained.size() == 2 * static_cast<size_t>(cast(index)->d));
        std::memcpy(ranges, trained.data(), trained.size() * sizeof(float));
    }
    CATCH_AND_HANDLE
}

int sat_faiss_get_codes(const FaissIndexIVFScalarQuantizer* index, size_t list,
                        const uint8_t** codes) {
    try {
        FAISS_THROW_IF_NOT(list < cast(index)->nlist);
        *codes = cast(index)->invlists->get_codes(list);
    }
    CATCH_AND_HANDLE
}

int sat_faiss_set_lists(FaissIndexIVFScalarQuantizer* handle, const float* ranges,
                        const uint8_t* base, const sat_faiss_place* places, size_t stride) {
    try {
        auto index = reinterpret_cast<faiss::IndexIVFScalarQuantizer*>(handle);
        index->sq.trained.assign(ranges, ranges + 2 * index->d);
        std::unique_ptr<faiss::InvertedLists> lists(
                new PlacedLists(index->nlist, index->code_size, base, places, stride));
        index->replace_invlists(lists.get(), true);
        index->ntotal = static_cast<faiss::Index::idx_t>(lists->compute_ntotal());
        lists.release();
        index->is_trained = true;
    }
    CATCH_AND_HANDLE
}
