package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/// An n-dimensional array in native memory, with libtorch's operations and autograd.
///
/// Methods are named and behave as in PyTorch; a trailing underscore changes the tensor in place. A tensor belongs to
/// the innermost open [Scope] of the thread that made it and is freed with it.
public final class Tensor implements AutoCloseable {

    static {
        LibTorch.load();
    }

    private final org.bytedeco.pytorch.Tensor t;

    private Tensor(org.bytedeco.pytorch.Tensor t) {
        this.t = t;
    }

    static Tensor adopt(org.bytedeco.pytorch.Tensor t) {
        return new Tensor(t);
    }

    org.bytedeco.pytorch.Tensor pointer() {
        return t;
    }

    private static torch.ScalarType scalar(DType dtype) {
        return switch (dtype) {
            case F32 -> torch.ScalarType.Float;
            case F16 -> torch.ScalarType.Half;
            case BF16 -> torch.ScalarType.BFloat16;
            case I64 -> torch.ScalarType.Long;
            case I32 -> torch.ScalarType.Int;
            case U8 -> torch.ScalarType.Byte;
            case BOOL -> torch.ScalarType.Bool;
        };
    }

    private static TensorOptions options(DType dtype) {
        return new TensorOptions(scalar(dtype));
    }

    // ---- making

    public static Tensor zeros(DType dtype, long... shape) {
        return new Tensor(torch.zeros(shape, options(dtype)));
    }

    /// Uninitialised memory.
    public static Tensor empty(DType dtype, long... shape) {
        return new Tensor(torch.empty(shape, options(dtype), new org.bytedeco.pytorch.MemoryFormatOptional()));
    }

    public static Tensor full(double value, DType dtype, long... shape) {
        return new Tensor(torch.full(shape, new Scalar(value), options(dtype)));
    }

    public static Tensor arange(long begin, long end) {
        return new Tensor(torch.arange(new Scalar(begin), new Scalar(end), options(DType.I64)));
    }

    /// A copy of the values, I64.
    public static Tensor of(long[] values, long... shape) {
        Tensor made = empty(DType.I64, shape.length == 0 ? new long[] {values.length} : shape);
        made.requireElements(values.length);
        if (values.length > 0) {
            made.t.data_ptr_long().put(values);
        }
        return made;
    }

    /// A copy of the values, I64.
    public static Tensor of(int[] values, long... shape) {
        return of(Arrays.stream(values).asLongStream().toArray(), shape);
    }

    /// A copy of the values, F32.
    public static Tensor of(float[] values, long... shape) {
        Tensor made = empty(DType.F32, shape.length == 0 ? new long[] {values.length} : shape);
        made.requireElements(values.length);
        if (values.length > 0) {
            made.t.data_ptr_float().put(values);
        }
        return made;
    }

    private void requireElements(long given) {
        if (given != numel()) {
            throw new IllegalArgumentException(given + " values do not fill shape " + Arrays.toString(shape()));
        }
    }

    public static Tensor cat(long dim, List<Tensor> tensors) {
        return new Tensor(torch.cat(vector(tensors), dim));
    }

    public static Tensor stack(long dim, List<Tensor> tensors) {
        return new Tensor(torch.stack(vector(tensors), dim));
    }

    private static TensorVector vector(List<Tensor> tensors) {
        return new TensorVector(tensors.stream().map(x -> x.t).toArray(org.bytedeco.pytorch.Tensor[]::new));
    }

    // ---- what it is

    public long[] shape() {
        long[] shape = new long[(int) t.dim()];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = t.size(i);
        }
        return shape;
    }

    public long size(long dim) {
        return t.size(dim);
    }

    public long dim() {
        return t.dim();
    }

    public long numel() {
        return t.numel();
    }

    public DType dtype() {
        return switch (t.scalar_type().intern()) {
            case Float -> DType.F32;
            case Half -> DType.F16;
            case BFloat16 -> DType.BF16;
            case Long -> DType.I64;
            case Int -> DType.I32;
            case Byte -> DType.U8;
            case Bool -> DType.BOOL;
            default -> throw new IllegalStateException("dtype " + t.scalar_type());
        };
    }

    // ---- values out and in

    /// The one element of this tensor.
    public double item() {
        return dtype() == DType.I64 ? t.item_long() : t.item_double();
    }

    /// All elements, row by row, as F32.
    public float[] toFloats() {
        try (Scope scope = Scope.open()) {
            float[] values = new float[Math.toIntExact(numel())];
            if (values.length > 0) {
                Tensor plain = detach().to(DType.F32).contiguous();
                new FloatPointer(plain.t.data_ptr_float()).get(values);
            }
            return values;
        }
    }

    /// Single elements of a contiguous F32 tensor, read without a copy.
    public static final class Floats {
        private final FloatPointer data;

        private Floats(FloatPointer data) {
            this.data = data;
        }

        /// Element `index`, counted row by row.
        public float get(long index) {
            return data.get(index);
        }
    }

    /// Reads single elements of this tensor, contiguous and F32, as long as it lives.
    public Floats floats() {
        if (!t.is_contiguous() || dtype() != DType.F32) {
            throw new IllegalStateException("not a contiguous F32 tensor: " + this);
        }
        return new Floats(t.data_ptr_float());
    }

    /// All elements, row by row, as I64.
    public long[] toLongs() {
        try (Scope scope = Scope.open()) {
            long[] values = new long[Math.toIntExact(numel())];
            if (values.length > 0) {
                Tensor plain = detach().to(DType.I64).contiguous();
                new LongPointer(plain.t.data_ptr_long()).get(values);
            }
            return values;
        }
    }

    /// The tensor's own memory, as long as it lives. The tensor must be contiguous.
    public MemorySegment memory() {
        if (!t.is_contiguous()) {
            throw new IllegalStateException("not contiguous");
        }
        Pointer data = t.data_ptr();
        return MemorySegment.ofAddress(data == null ? 0 : data.address()).reinterpret(t.nbytes());
    }

    /// Memory of F32 numbers whose first dimension counts rows that are each contiguous.
    ///
    /// @param stride from one row to the next, in numbers; `length` of a row
    record Rows(MemorySegment memory, long count, long stride, long length) {}

    /// This tensor as rows, as long as it lives.
    Rows rows() {
        long length = 1;
        for (long dim = t.dim() - 1; dim > 0; dim--) {
            if (t.size(dim) > 1 && t.stride(dim) != length) {
                throw new IllegalStateException("rows are not contiguous: " + this);
            }
            length *= t.size(dim);
        }
        if (dtype() != DType.F32) {
            throw new IllegalStateException("not F32: " + this);
        }
        long count = t.size(0);
        long stride = count > 1 ? t.stride(0) : length;
        long bytes = count == 0 ? 0 : ((count - 1) * stride + length) * Float.BYTES;
        Pointer data = t.data_ptr();
        return new Rows(
                MemorySegment.ofAddress(data == null ? 0 : data.address()).reinterpret(bytes), count, stride, length);
    }

    /// Copies from a segment of exactly this tensor's bytes, little-endian.
    public static Tensor copyOf(MemorySegment bytes, DType dtype, long... shape) {
        Tensor made = empty(dtype, shape);
        if (bytes.byteSize() != made.t.nbytes()) {
            throw new IllegalArgumentException(
                    bytes.byteSize() + " bytes do not fill " + dtype + " " + Arrays.toString(shape));
        }
        if (made.numel() > 0) {
            MemorySegment.copy(
                    bytes, ValueLayout.JAVA_BYTE, 0, made.memory(), ValueLayout.JAVA_BYTE, 0, made.t.nbytes());
        }
        return made;
    }

    /// Number of elements that are NaN or infinite.
    public long nonFinite() {
        try (Scope scope = Scope.open()) {
            return numel() - (long) new Tensor(t.isfinite()).sum().item();
        }
    }

    // ---- shape

    public Tensor view(long... shape) {
        return new Tensor(t.view(shape));
    }

    public Tensor reshape(long... shape) {
        return new Tensor(t.reshape(shape));
    }

    public Tensor transpose(long a, long b) {
        return new Tensor(t.transpose(a, b));
    }

    public Tensor contiguous() {
        return new Tensor(t.contiguous());
    }

    public Tensor unsqueeze(long dim) {
        return new Tensor(t.unsqueeze(dim));
    }

    public Tensor squeeze(long dim) {
        return new Tensor(t.squeeze(dim));
    }

    public Tensor expand(long... shape) {
        return new Tensor(t.expand(shape));
    }

    /// A view of `length` entries from `begin` along `dim`.
    public Tensor narrow(long dim, long begin, long length) {
        return new Tensor(t.narrow(dim, begin, length));
    }

    /// Views that lie side by side along `dim`. Backward is one concatenation, where that of a [#narrow] each fills a
    /// gradient of the whole with zeros.
    public List<Tensor> split(long dim, long... sizes) {
        TensorVector parts = t.split_with_sizes(sizes, dim);
        List<Tensor> views = new ArrayList<>();
        for (long i = 0; i < sizes.length; i++) {
            views.add(new Tensor(parts.get(i)));
        }
        return views;
    }

    public Tensor select(long dim, long index) {
        return new Tensor(t.select(dim, index));
    }

    public Tensor to(DType dtype) {
        return dtype() == dtype ? new Tensor(new org.bytedeco.pytorch.Tensor(t)) : new Tensor(t.to(scalar(dtype)));
    }

    /// Each entry along `dim` repeated `times` times in a row.
    public Tensor repeatInterleave(long times, long dim) {
        return new Tensor(torch.repeat_interleave(t, times, new LongOptional(dim), new LongOptional()));
    }

    // ---- arithmetic

    public Tensor add(Tensor other) {
        return new Tensor(t.add(other.t));
    }

    public Tensor add(double value) {
        return new Tensor(t.add(new Scalar(value)));
    }

    public Tensor sub(Tensor other) {
        return new Tensor(t.sub(other.t));
    }

    public Tensor mul(Tensor other) {
        return new Tensor(t.mul(other.t));
    }

    public Tensor mul(double value) {
        return new Tensor(t.mul(new Scalar(value)));
    }

    public Tensor div(Tensor other) {
        return new Tensor(t.div(other.t));
    }

    public Tensor add_(Tensor other) {
        t.add_(other.t);
        return this;
    }

    /// This += alpha * other.
    public Tensor add_(Tensor other, double alpha) {
        t.add_(other.t, new Scalar(alpha));
        return this;
    }

    public Tensor mul_(double value) {
        t.mul_(new Scalar(value));
        return this;
    }

    public Tensor mul_(Tensor other) {
        t.mul_(other.t);
        return this;
    }

    public Tensor div_(Tensor other) {
        t.div_(other.t);
        return this;
    }

    public Tensor zero_() {
        t.zero_();
        return this;
    }

    public Tensor copy_(Tensor other) {
        t.copy_(other.t);
        return this;
    }

    public Tensor neg() {
        return new Tensor(t.neg());
    }

    public Tensor exp() {
        return new Tensor(t.exp());
    }

    public Tensor log() {
        return new Tensor(t.log());
    }

    /// exp(x) - 1, exact near 0.
    public Tensor expm1() {
        return new Tensor(t.expm1());
    }

    /// log(1 + x), exact near 0.
    public Tensor log1p() {
        return new Tensor(t.log1p());
    }

    public Tensor square() {
        return new Tensor(t.square());
    }

    public Tensor rsqrt() {
        return new Tensor(t.rsqrt());
    }

    public Tensor maximum(Tensor other) {
        return new Tensor(torch.maximum(t, other.t));
    }

    public Tensor minimum(Tensor other) {
        return new Tensor(torch.minimum(t, other.t));
    }

    public Tensor clamp(double low, double high) {
        return new Tensor(torch.clamp(t, new ScalarOptional(new Scalar(low)), new ScalarOptional(new Scalar(high))));
    }

    /// This where the condition holds, `other` where it does not.
    public Tensor where(Tensor condition, Tensor other) {
        return new Tensor(t.where(condition.t, other.t));
    }

    public Tensor maskedFill(Tensor mask, double value) {
        return new Tensor(t.masked_fill(mask.t, new Scalar(value)));
    }

    public Tensor maskedFill_(Tensor mask, double value) {
        t.masked_fill_(mask.t, new Scalar(value));
        return this;
    }

    public Tensor eq(Tensor other) {
        return new Tensor(t.eq(other.t));
    }

    public Tensor lt(Tensor other) {
        return new Tensor(t.lt(other.t));
    }

    public Tensor lt(double value) {
        return new Tensor(t.lt(new Scalar(value)));
    }

    public Tensor le(Tensor other) {
        return new Tensor(t.le(other.t));
    }

    public Tensor le(double value) {
        return new Tensor(t.le(new Scalar(value)));
    }

    public Tensor ge(Tensor other) {
        return new Tensor(t.ge(other.t));
    }

    public Tensor gt(double value) {
        return new Tensor(t.gt(new Scalar(value)));
    }

    // ---- reductions

    public Tensor sum() {
        return new Tensor(t.sum());
    }

    public Tensor sum(long dim, boolean keep) {
        return new Tensor(t.sum(new long[] {dim}, keep, new ScalarTypeOptional()));
    }

    public Tensor mean(long dim, boolean keep) {
        return new Tensor(t.mean(new long[] {dim}, keep, new ScalarTypeOptional()));
    }

    /// Euclidean norm along the last dimension, kept, accumulated in F32.
    public Tensor norm() {
        return new Tensor(torch.linalg_vector_norm(
                t, new Scalar(2.0), new long[] {-1}, true, new ScalarTypeOptional(torch.ScalarType.Float)));
    }

    /// Euclidean norm of all elements, accumulated in F32.
    public Tensor normAll() {
        return new Tensor(torch.linalg_vector_norm(
                t,
                new Scalar(2.0),
                new org.bytedeco.pytorch.LongArrayRefOptional(),
                false,
                new ScalarTypeOptional(torch.ScalarType.Float)));
    }

    public Tensor amax(long dim, boolean keep) {
        return new Tensor(t.amax(new long[] {dim}, keep));
    }

    public Tensor argmax(long dim) {
        return new Tensor(t.argmax(new LongOptional(dim), false));
    }

    public Tensor cumsum(long dim) {
        return new Tensor(t.cumsum(dim));
    }

    public Tensor logsumexp(long dim) {
        return new Tensor(t.logsumexp(dim));
    }

    public Tensor softmax(long dim) {
        return new Tensor(torch.softmax(t, dim));
    }

    public Tensor logSoftmax(long dim) {
        return new Tensor(torch.log_softmax(t, dim));
    }

    /// Values and their indices, sorted along the last dimension.
    public Tensor[] sort(boolean descending) {
        T_TensorTensor_T both = torch.sort(t, new BoolOptional(true), -1, descending);
        return new Tensor[] {new Tensor(both.get0()), new Tensor(both.get1())};
    }

    /// The k largest values along the last dimension, largest first, and their indices.
    public Tensor[] topk(long k) {
        T_TensorTensor_T both = torch.topk(t, k);
        return new Tensor[] {new Tensor(both.get0()), new Tensor(both.get1())};
    }

    // ---- linear algebra and neural-network functions

    public Tensor matmul(Tensor other) {
        return new Tensor(t.matmul(other.t));
    }

    /// beta x + alpha (a b), in one operation.
    ///
    /// @param a [m, k]
    /// @param b [k, n], where this is [m, n]
    public Tensor addProduct(double beta, Tensor a, Tensor b, double alpha) {
        return new Tensor(torch.addmm(t, a.t, b.t, new Scalar(beta), new Scalar(alpha)));
    }

    /// x Wᵀ + b, for weight W of [out, in].
    public Tensor linear(Tensor weight, @Nullable Tensor bias) {
        return new Tensor(MatrixProduct.of(t, weight.t, bias == null ? null : bias.t));
    }

    /// The way back of [#linear] without bias, of this [N, in], where gradients are written out by hand.
    ///
    /// @param weight [out, in]; if it requires a gradient, dL/dW is added to its `grad`
    /// @param gradient dL/dy, [N, out]
    /// @return dL/dx, [N, in]
    public Tensor linearBackward(Tensor weight, Tensor gradient) {
        try (NoGrad off = NoGrad.on()) {
            var gradients = MatrixProduct.backward(gradient.t, t, weight.t, weight.requiresGrad());
            if (gradients.weight() != null) {
                weight.accumulateGrad(new Tensor(gradients.weight()));
            }
            return new Tensor(gradients.x());
        }
    }

    /// Rows of a table [V, H] by these ids.
    public Tensor embeddingOf(Tensor ids) {
        return new Tensor(torch.embedding(t, ids.t));
    }

    public Tensor indexSelect(long dim, Tensor index) {
        return new Tensor(t.index_select(dim, index.t));
    }

    public Tensor gather(long dim, Tensor index) {
        return new Tensor(t.gather(dim, index.t));
    }

    public Tensor scatter(long dim, Tensor index, Tensor source) {
        return new Tensor(torch.scatter(t, dim, index.t, source.t));
    }

    public Tensor indexCopy_(long dim, Tensor index, Tensor source) {
        t.index_copy_(dim, index.t, source.t);
        return this;
    }

    public Tensor indexAdd_(long dim, Tensor index, Tensor source) {
        t.index_add_(dim, index.t, source.t);
        return this;
    }

    /// Adds `source` [.., k] at `index` along `dim`, in place.
    public Tensor scatterAdd_(long dim, Tensor index, Tensor source) {
        t.scatter_add_(dim, index.t, source.t);
        return this;
    }

    public Tensor silu() {
        return new Tensor(torch.silu(t));
    }

    /// Gaussian error linear unit: exact, or its tanh approximation.
    public Tensor gelu(boolean tanh) {
        return new Tensor(torch.gelu(t, tanh ? "tanh" : "none"));
    }

    public Tensor relu() {
        return new Tensor(torch.relu(t));
    }

    public Tensor sigmoid() {
        return new Tensor(torch.sigmoid(t));
    }

    public Tensor logSigmoid() {
        return new Tensor(torch.log_sigmoid(t));
    }

    /// Layer normalisation over the last dimension.
    public Tensor layerNorm(Tensor weight, @Nullable Tensor bias, double eps) {
        return new Tensor(torch.layer_norm(
                t,
                new long[] {t.size(-1)},
                new TensorOptional(weight.t),
                bias == null ? new TensorOptional() : new TensorOptional(bias.t),
                eps,
                false));
    }

    /// Root mean square normalisation over the last dimension (Zhang and Sennrich 2019, arXiv:1910.07467), computed in
    /// F32, given in the weight's dtype.
    ///
    /// @param weight [H]
    /// @return [.., H]
    public Tensor rmsNorm(Tensor weight, double eps) {
        Tensor wide = to(DType.F32);
        if (Inference.kernels()) {
            return RowKernels.rmsNorm(wide, weight, eps);
        }
        Tensor scale = wide.square().mean(-1, true).add(eps).rsqrt();
        return wide.mul(scale).to(weight.dtype()).mul(weight);
    }

    /// SiLU of the first half of each row times the second half (Shazeer 2020, arXiv:2002.05202).
    ///
    /// @return [N, M] of this [N, 2M]
    public Tensor gatedSilu() {
        if (Inference.kernels()) {
            return RowKernels.gatedSilu(this);
        }
        long half = size(1) / 2;
        List<Tensor> gateAndUp = split(1, half, half);
        return gateAndUp.get(0).silu().mul(gateAndUp.get(1));
    }

    /// Rotates pairs (x[2i], x[2i+1]) of the last dimension by angles: `cos` + i `sin` given as a complex view [..,
    /// d/2, 2].
    ///
    /// @param rotation [.., d/2, 2] cosine and sine, F32, broadcast against this [.., d]
    public Tensor rotate(Tensor rotation) {
        if (Inference.kernels()) {
            return RowKernels.rotate(this, rotation);
        }
        long[] shape = shape();
        long[] pairs = Arrays.copyOf(shape, shape.length + 1);
        pairs[shape.length - 1] = shape[shape.length - 1] / 2;
        pairs[shape.length] = 2;
        org.bytedeco.pytorch.Tensor turned =
                torch.view_as_complex(t.view(pairs)).mul(torch.view_as_complex(rotation.t));
        return new Tensor(torch.view_as_real(turned).view(shape));
    }

    /// Scaled dot-product attention, this being the queries.
    ///
    /// @param keys [B, heads, Tk, D]
    /// @param values [B, heads, Tk, D]
    /// @param mask additive or boolean [B, 1, Tq, Tk], or null
    /// @param causal whether query i sees keys 0..i only
    /// @return [B, heads, Tq, D]
    public Tensor attention(Tensor keys, Tensor values, @Nullable Tensor mask, boolean causal, double scale) {
        return new Tensor(torch.scaled_dot_product_attention(
                t,
                keys.t,
                values.t,
                mask == null ? new TensorOptional() : new TensorOptional(mask.t),
                0.0,
                causal,
                new DoubleOptional(scale),
                false));
    }

    // ---- autograd

    public boolean requiresGrad() {
        return t.requires_grad();
    }

    public Tensor setRequiresGrad(boolean wanted) {
        t.set_requires_grad(wanted);
        return this;
    }

    public Tensor detach() {
        return new Tensor(t.detach());
    }

    @Override
    @SuppressWarnings({"MethodDoesntCallSuperMethod", "CheckReturnValue"})
    public Tensor clone() {
        return new Tensor(t.clone());
    }

    /// Accumulated gradient of a leaf, or null.
    public @Nullable Tensor grad() {
        org.bytedeco.pytorch.Tensor g = t.grad();
        // A reference of its own: the leaf's may be dropped while this one lives.
        return g.defined() ? new Tensor(new org.bytedeco.pytorch.Tensor(g)) : null;
    }

    /// Adds to the gradient of this leaf.
    public void accumulateGrad(Tensor more) {
        org.bytedeco.pytorch.Tensor g = t.mutable_grad();
        if (g.defined()) {
            try (NoGrad off = NoGrad.on()) {
                g.add_(more.t);
            }
        } else {
            g.put(more.t);
        }
    }

    /// Drops the gradient and its memory.
    public void clearGrad() {
        t.mutable_grad().reset();
    }

    /// Back-propagates from this scalar.
    public void backward() {
        t.backward();
    }

    /// Back-propagates from this tensor, given the gradient of the loss with respect to it.
    public void backward(Tensor gradient) {
        t.backward(
                new org.bytedeco.pytorch.Tensor(gradient.t), new BoolOptional(), false, new TensorArrayRefOptional());
    }

    /// Frees the native memory now. A scope does it for most tensors.
    @Override
    public void close() {
        t.close();
    }

    @Override
    public String toString() {
        return "Tensor" + Arrays.toString(shape()) + " " + dtype();
    }
}
