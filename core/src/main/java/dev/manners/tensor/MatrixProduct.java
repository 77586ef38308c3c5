package dev.manners.tensor;

import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/// x Wᵀ + b, in f32 on all threads.
///
/// The binding's libtorch leaves f32 products to OpenBLAS, which is held to one thread ([LibTorch]). Its convolutions
/// are oneDNN's, as its bf16 products are, and run on libtorch's own threads. A convolution of N pixels with a 1 x 1
/// kernel is the same product, forward and backward, and nothing is copied: channels last, the pixels are the rows.
///
/// oneDNN compiles a kernel for every shape, which takes most of a millisecond and memory that it keeps. So only round
/// numbers of rows are multiplied this way, of which there are few; [#roundRows] says which.
public final class MatrixProduct {

    private static final long ROUND = 64;

    /// With fewer values libtorch itself keeps to a slow convolution of its own.
    private static final long FEWEST_VALUES = 20_480;

    private static final long[] ONE = {1, 1};
    private static final long[] ZERO = {0, 0};

    private MatrixProduct() {}

    /// @param x dL/dx, [N, in]
    /// @param weight dL/dW, [out, in], or null if it was not wanted
    record Gradients(Tensor x, @Nullable Tensor weight) {}

    /// @param x [N, in], or more dimensions before the last
    /// @param weight [out, in]
    /// @return [N, out]
    static Tensor of(Tensor x, Tensor weight, @Nullable Tensor bias) {
        if (convolves(x, weight)) {
            long in = weight.size(1);
            long out = weight.size(0);
            var b = bias == null ? new TensorOptional() : new TensorOptional(bias);
            return rows(torch.conv2d(pixels(x), weight.view(out, in, 1, 1), b, ONE, ZERO, ONE, 1));
        }
        return bias == null ? torch.linear(x, weight) : torch.linear(x, weight, new TensorOptional(bias));
    }

    /// Gradients of [#of] without bias.
    ///
    /// @param y dL/dy, [N, out]
    /// @param ofWeight whether that of the weight is wanted
    static Gradients backward(Tensor y, Tensor x, Tensor weight, boolean ofWeight) {
        if (!convolves(x, weight)) {
            return new Gradients(y.matmul(weight), ofWeight ? y.t().matmul(x) : null);
        }
        long in = weight.size(1);
        long out = weight.size(0);
        try (BoolPointer wanted = new BoolPointer(3)) {
            wanted.put(0, true).put(1, ofWeight).put(2, false);
            var gradients = torch.convolution_backward(
                    pixels(y), pixels(x), weight.view(out, in, 1, 1), ZERO, ONE, ZERO, ONE, false, ZERO, 1, wanted);
            return new Gradients(
                    rows(gradients.get0()), ofWeight ? gradients.get1().view(out, in) : null);
        }
    }

    /// Rows as pixels: [N, C] to [1, C, 1, N], channels last.
    private static Tensor pixels(Tensor rows) {
        return rows.view(1, 1, rows.size(0), rows.size(1)).permute(0, 3, 1, 2);
    }

    private static Tensor rows(Tensor pixels) {
        return pixels.permute(0, 2, 3, 1).view(pixels.size(3), pixels.size(1));
    }

    /// How many rows it is best to multiply in place of so many: the next round number, or the same.
    ///
    /// @param in length of a row
    public static long roundRows(long rows, long in, DType dtype) {
        boolean many = rows * in > FEWEST_VALUES && rows >= ROUND;
        return many && dtype == DType.F32 && convolves() ? (rows + ROUND - 1) / ROUND * ROUND : rows;
    }

    private static boolean convolves() {
        return torch.get_num_threads() > 1 && torch.hasMKLDNN();
    }

    static boolean convolves(Tensor x, Tensor weight) {
        return x.dim() == 2
                && x.size(0) % ROUND == 0
                && x.size(0) * x.size(1) > FEWEST_VALUES
                && x.scalar_type().intern() == torch.ScalarType.Float
                && weight.scalar_type().intern() == torch.ScalarType.Float
                && convolves();
    }
}
