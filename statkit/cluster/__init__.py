"""Clustering: probability aggregation and its family; every name loads when it is used."""
"""Clustering: several views or kernels of the same objects, one partition."""

from statkit._lazy import lazy_names

_WHERE = {
    "FuzzyCMeans": "statkit.cluster.fuzzy",
    "Fanny": "statkit.cluster.fuzzy",
    "GraphPAC": "statkit.cluster.graph_pac",
    "OnlinePAC": "statkit.cluster.online_pac",
    "PAC": "statkit.cluster.pac",
    "PACHead": "statkit.cluster.pac_head",
    "balanced_assignment": "statkit.cluster.pac_functions",
    "clustering_accuracy": "statkit.cluster.cluster_scores",
    "critical_exponent": "statkit.cluster.pac_functions",
    "fuzzy_silhouette": "statkit.cluster.cluster_scores",
    "kernel_to_distance": "statkit.cluster.pac_functions",
    "n_clusters_spectrum": "statkit.cluster.pac_functions",
    "opa_targets": "statkit.cluster.pac_head",
    "pac_objective": "statkit.cluster.pac_functions",
    "partition_coefficient": "statkit.cluster.cluster_scores",
    "partition_entropy": "statkit.cluster.cluster_scores",
    "probability_aggregation": "statkit.cluster.pac_functions",
    "xie_beni": "statkit.cluster.cluster_scores",
}

__all__ = list(_WHERE)
    "AnchorMultiViewClustering": "statkit.cluster.anchors",
    "CoRegularizedSpectralClustering": "statkit.cluster.co_regularized",
    "ConsensusClustering": "statkit.cluster.consensus",
    "GraphFusionClustering": "statkit.cluster.graph_fusion",
    "KernelKMeans": "statkit.cluster.kernel_kmeans",
    "LateFusionClustering": "statkit.cluster.late_fusion",
    "LocalSampleWeightedMKC": "statkit.cluster.local_sample_weighted",
    "MultiViewKMeans": "statkit.cluster.multiview_kmeans",
    "MultipleKernelKMeans": "statkit.cluster.multiple_kernel",
    "OneStepMultiViewClustering": "statkit.cluster.one_step_multiview",
    "SimilarityNetworkFusion": "statkit.cluster.similarity_network",
    "center_kernel": "statkit.cluster.kernels",
    "coassociation_matrix": "statkit.cluster.consensus",
    "compare_views": "statkit.cluster.compare_views",
    "kernel_stack": "statkit.cluster.kernels",
    "normalize_kernel": "statkit.cluster.kernels",
    "suggest_n_clusters": "statkit.cluster.suggest_n_clusters",
__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
