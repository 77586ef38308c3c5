package dev.manners.run;

import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import java.util.Map;
import java.util.TreeMap;

/// What must be the same for a run to be resumed, its inputs apart.
final class Fingerprint {

    private Fingerprint() {}

    /// Options, how it is computed and by which version; to be added to.
    ///
    /// @param resolved all options
    static Map<String, String> of(Map<String, Object> resolved, DType dtype) {
        Map<String, String> fingerprint = new TreeMap<>();
        fingerprint.put("dtype", String.valueOf(dtype));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        fingerprint.put("manners", RunDirectory.version());
        resolved.forEach((key, value) -> {
            if (!key.equals("output_dir")) {
                fingerprint.put("option/" + key, String.valueOf(value));
            }
        });
        return fingerprint;
    }
}
